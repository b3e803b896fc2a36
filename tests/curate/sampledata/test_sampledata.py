import csv
import json
import os
import pickle
import re

import pytest

from medmix.curate import sampledata
from medmix.curate.errors import UsageError
from medmix.curate.record import Record, Rejected
from medmix.curate.sampledata.files import Tree
from medmix.curate.sources import layouts

from .planted import PLANTED

SOURCES = tuple(sampledata.TREES)


def contents(root):
    """Everything that tells one tree from another: names, bytes and times, folders included."""
    return {
        path.relative_to(root).as_posix(): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in (root, *root.rglob("*"))
    }


def default(source):
    return next(iter(sampledata.TREES[source].values()))


@pytest.mark.parametrize("source", SOURCES)
def test_a_tree_hangs_on_the_seed_only(source, root):
    same, other = default(source)(0), default(source)(1)
    written = {name: (root / source / name).read_bytes() for name in same.files}
    assert same.files == written
    assert other.files != written
    assert other.rows == same.rows


def test_two_runs_write_the_same_folder_and_nothing_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sampledata, "TREES", {"medqa": sampledata.TREES["medqa"], "slake": sampledata.TREES["slake"]})
    rows = sampledata.write(tmp_path / "a")
    assert rows == sampledata.write(tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_all_fourteen_sources_are_there_and_small(root):
    assert {path.name for path in root.iterdir()} == set(SOURCES)
    assert len(SOURCES) == 14
    assert sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) < 15_000_000


def test_an_empty_folder_is_filled_and_a_full_one_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(sampledata, "TREES", {"a": {"original": lambda seed: Tree(1, {"x/y.txt": b"z"})}})
    assert sampledata.write(tmp_path) == {"a": 1}
    with pytest.raises(UsageError, match=r"already there.*remove"):
        sampledata.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_in_the_way_is_wrong_usage(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="already there"):
        sampledata.write(tmp_path / "file")
    with pytest.raises(UsageError, match="cannot be written") as caught:
        sampledata.write(tmp_path / "file" / "below")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_parent_is_wrong_usage(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="cannot be written"):
        sampledata.write(tmp_path / "out")


def test_a_run_that_breaks_leaves_nothing(tmp_path, monkeypatch):
    def broken(seed):
        raise KeyboardInterrupt

    monkeypatch.setattr(sampledata, "TREES", {"medqa": sampledata.TREES["medqa"], "broken": {"original": broken}})
    with pytest.raises(KeyboardInterrupt):
        sampledata.write(tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_the_table_in_the_docs_counts_the_planted_faults():
    lines = re.findall(r"^    (\S+) {2,}.*? {2,}(\S.*)$", sampledata.__doc__, flags=re.MULTILINE)
    told = {fault: dict(part.rsplit(" ", 1) for part in places.split(", ")) for fault, places in lines}
    counted = {fault: {key: str(n) for key, n in places.items()} for fault, places in PLANTED.items()}
    assert told == counted


@pytest.mark.parametrize("source", SOURCES)
def test_the_readers_read_every_row(source, root):
    found = layouts(source)
    if not found:
        pytest.skip(f"no reader of {source}")
    layout = next(layout for layout in found if layout.shards(root / source))
    rows = [row for shard in layout.shards(root / source) for row in layout.read(root / source, shard)]
    assert all(isinstance(row, (Record, Rejected)) for row in rows)
    assert any(isinstance(row, Record) for row in rows)
    assert len({row.key for row in rows}) == len(rows)


class TestAsTheRealOnes:
    """The layout of the real samples: names of files, keys, columns, encodings."""

    def test_vqa_rad(self, root, real_data):
        ours = json.loads((root / "vqa_rad/VQA_RAD Dataset Public.json").read_text())
        (theirs,) = {frozenset(row) for row in json.loads((real_data / "vqa_rad/data_RAD/trainset.json").read_text())}
        assert all(theirs <= set(row) for row in ours)

    def test_pathvqa(self, root, real_data):
        for split in ("train", "test"):
            real = pickle.loads((real_data / f"pathvqa/qas/{split}/{split}_qa.pkl").read_bytes())
            ours = pickle.loads((root / f"pathvqa/split/qas/{split}/{split}_qa.pkl").read_bytes())
            assert {frozenset(row) for row in ours} == {frozenset(row) for row in real}
            assert all(re.fullmatch(rf"{split}_\d{{4}}", row["image"]) for row in (*ours, *real))

    @pytest.mark.parametrize("split", ["train", "validate", "test"])
    def test_slake(self, root, real_data, split):
        name = f"slake/Slake1.0/{split}.json"
        text = (root / name).read_text(encoding="utf-8")
        ours, real = json.loads(text), json.loads((real_data / name).read_text(encoding="utf-8"))
        assert {frozenset(row) for row in ours} == {frozenset(row) for row in real}
        assert "图像" in text
        for key in ("q_lang", "answer_type", "base_type"):
            assert {row[key] for row in ours} == {row[key] for row in real}
        for key in ("modality", "location", "content_type"):
            assert {row[key] for row in ours} <= {row[key] for row in real}
        assert all(re.fullmatch(r"xmlab\d+/source\.jpg", row["img_name"]) for row in (*ours, *real))

    def test_vqa_med_2019(self, root, real_data):
        for real in (real_data / "vqa_med_2019").rglob("*.txt"):
            if real.name.startswith("README"):
                continue
            ours = root / real.relative_to(real_data)
            assert {line.count("|") for line in ours.read_text().splitlines()} == {
                line.count("|") for line in real.read_text().splitlines()
            }

    def test_iu_xray(self, root, real_data):
        for name in ("iu_xray/indiana_reports.csv", "iu_xray/indiana_projections.csv"):
            with (root / name).open(newline="") as ours, (real_data / name).open(newline="") as real:
                assert csv.DictReader(ours).fieldnames == csv.DictReader(real).fieldnames

    def test_roco(self, root, real_data):
        for real in (real_data / "roco").rglob("*.txt"):
            ours = root / real.relative_to(real_data)
            first_ours, first_real = (path.read_text(encoding="utf-8").splitlines()[0] for path in (ours, real))
            if real.name == "licences.txt":
                assert first_ours == first_real
                continue
            shape = r"(ROCO_\d{5})(\t\t|\t |\twget -r \S+ -P /path/to/Dir\t)"
            assert re.match(shape, first_ours)[2][:3] == re.match(shape, first_real)[2][:3]

    def test_medqa_and_medmcqa(self, root, real_data):
        folder = "data_clean/questions/US/4_options/phrases_no_exclude_test.jsonl"
        for name in (f"medqa/{folder}", "medmcqa/data/dev.json"):
            ours, real = (
                {tuple(json.loads(line)) for line in (place / name).read_text(encoding="utf-8").splitlines()}
                for place in (root, real_data)
            )
            assert ours == real

    def test_pubmedqa(self, root, real_data):
        ours, real = (json.loads((place / "pubmedqa/data/ori_pqal.json").read_text()) for place in (root, real_data))
        assert {tuple(item) for item in ours.values()} == {tuple(item) for item in real.values()}
        assert any(item["YEAR"] is None for item in ours.values())
        truth = json.loads((root / "pubmedqa/data/test_ground_truth.json").read_text())
        assert truth == {pmid: ours[pmid]["final_decision"] for pmid in truth}
