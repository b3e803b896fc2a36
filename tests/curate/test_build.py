"""The main job end to end on the sample data, and what must hold whatever happens to it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import datasets
import polars as pl
import pytest

from medmix.curate import build as builds
from medmix.curate import mixtures
from medmix.curate.build import BuildOptions, build
from medmix.curate.check import check
from medmix.curate.errors import UsageError, WorkError
from medmix.curate.measure import scanned_files, scans
from medmix.curate.read import image_store, zip_index
from medmix.curate.write import manifest, materialise
from medmix.curate.write.workplace import WORK

from .conftest import EVERY_KIND, SMALL

SAMPLE = mixtures.load("sample")
SOURCES = tuple(SAMPLE.sources)


def content(out: Path) -> dict[str, bytes]:
    """Give every byte of a mix that equal input must repeat."""
    files = {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.relative_to(out).parts[0] != WORK
    }
    document = json.loads(files[manifest.NAME])
    assert document.pop("timings").keys() == {"scan", "load", "compare", "decide", "write", manifest.DIGEST_KEY}
    return {**files, manifest.NAME: json.dumps(document).encode()}


def ledger_of(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / "ledger.parquet")


def test_every_row_read_is_kept_or_dropped_for_a_reason(mix):
    ledger = ledger_of(mix)
    document = manifest.read(mix)
    assert document["sources"].keys() == set(SOURCES)
    for source, entry in document["sources"].items():
        mine = ledger.filter(pl.col("source") == source)
        assert mine.height == entry["read"] == entry["kept"] + entry["dropped"]
        assert entry["kept"] > 0


def test_the_sample_shows_every_reason_at_work(mix):
    reasons = set(ledger_of(mix)["reason"]) - {""}
    assert reasons >= {
        "missing-image",
        "unsafe-path",
        "unreadable-image",
        "too-many-pixels",
        "too-small",
        "empty-text",
        "language",
        "contaminated",
        "duplicate",
        "split-conflict",
    }


def test_a_sound_mix_has_no_findings(mix):
    assert check(mix) == []


def test_no_group_stands_in_two_splits(mix):
    rows = datasets.concatenate_datasets(list(load(mix).values())).select_columns(["group", "split"])
    splits_of: dict[str, set[str]] = {}
    for row in rows:
        splits_of.setdefault(row["group"], set()).add(row["split"])
    assert len(splits_of) > 100
    assert all(len(splits) == 1 for splits in splits_of.values())


def load(mix: Path, *config, **options):
    return datasets.load_dataset(str(mix), *config, cache_dir=str(mix.parent / "cache"), **options)


def test_datasets_loads_it_whole_by_source_and_streamed(mix):
    document = manifest.read(mix)
    whole = load(mix)
    assert {split: rows.num_rows for split, rows in whole.items()} == document["totals"]["kept_by_split"]
    slake = load(mix, "slake")
    assert {split: rows.num_rows for split, rows in slake.items()} == document["sources"]["slake"]["kept_by_split"]
    first = next(iter(load(mix, "slake", split="train", streaming=True)))
    assert first["id"] == slake["train"][0]["id"]
    assert first["images"][0].size == slake["train"][0]["images"][0].size
    assert first["messages"][0]["content"][0] == {"type": "image", "text": None}


def test_original_bytes_are_kept(mix, root):
    rows = load(mix, "slake", split="train").cast_column("images", datasets.List(datasets.Image(decode=False)))
    row = rows[0]
    upstream = json.loads((root / "slake" / row["upstream"]["file"]).read_text(encoding="utf-8"))
    name = upstream[row["upstream"]["row"]]["img_name"]
    (original,) = (path for path in (root / "slake").rglob("source.jpg") if path.as_posix().endswith(name))
    assert row["images"][0]["bytes"] == original.read_bytes()


def test_only_what_may_be_redistributed_lies_in_data(mix):
    data = pl.concat([pl.read_parquet(path, columns=["license_verdict"]) for path in mix.glob("data/*/*.parquet")])
    restricted = pl.concat(
        [pl.read_parquet(path, columns=["license_verdict"]) for path in mix.glob("restricted/*/*.parquet")]
    )
    assert set(data["license_verdict"]) == {"redistributable"}
    assert "redistributable" not in set(restricted["license_verdict"])
    pointers = pl.concat([pl.read_parquet(path) for path in mix.glob("pointers/*.parquet")])
    assert pointers.height == restricted.height
    assert not {"images", "messages", "question", "answer"} & set(pointers.columns)


def test_a_credentialed_source_is_restricted_and_its_pointers_tell_nothing(mix):
    (entry,) = (entry for source, entry in manifest.read(mix)["sources"].items() if source == "mimic_cxr")
    assert (entry["kept"], entry["kept_by_verdict"]) == (40, {"credentialed": 40})
    assert len(list((mix / "restricted" / "mimic_cxr").iterdir())) == 3
    assert not (mix / "data" / "mimic_cxr").exists()
    pointers = pl.read_parquet(mix / "pointers" / "mimic_cxr.parquet")
    assert pointers["keyed_id"].n_unique() == 40
    hidden = pointers.select("id", "file", "row", "wording", "article", "article_read")
    assert all(hidden[name].null_count() == 40 for name in hidden.columns)
    assert pointers["image_sha256"].list.len().sum() == 0


def test_two_workers_write_the_same_bytes(mix, root, tmp_path):
    build(SAMPLE, root, tmp_path / "mix", BuildOptions(workers=2))
    assert content(tmp_path / "mix") == content(mix)


def test_large_archives_are_read_by_indexes_made_once(mix, root, scanned, tmp_path, monkeypatch):
    scanned(tmp_path / "mix")
    shutil.rmtree(tmp_path / "mix" / WORK / "comparisons")
    for source in {archive.relative_to(root).parts[0] for archive in root.rglob("*.zip")}:
        for scan in (tmp_path / "mix" / WORK / "scans").glob(f"{source}-*"):
            scan.unlink()
    made, make = [], zip_index.build
    monkeypatch.setattr(zip_index, "SMALL_MEMBERS", 0)
    monkeypatch.setattr(
        image_store, "zipfile", SimpleNamespace(ZipFile=lambda path: pytest.fail(f"{path}: read whole"))
    )
    monkeypatch.setattr(zip_index, "build", lambda reader, found: made.append(reader.file.name) or make(reader, found))
    build(SAMPLE, root, tmp_path / "mix", BuildOptions())
    assert content(tmp_path / "mix") == content(mix)
    assert len(made) == len(set(made)) == len(list((tmp_path / "mix" / WORK / "archives").glob("*.zip-index"))) > 1


def test_small_shards_hold_the_same_records(mix_of_every_kind, root, tmp_path, monkeypatch):
    whole = materialise.plan
    monkeypatch.setattr(materialise, "plan", lambda kept, size: whole(kept, 20_000))
    build(SAMPLE, root, tmp_path / "mix", EVERY_KIND)
    shards = sorted(path.name for path in (tmp_path / "mix" / "data" / "slake").glob("train-*"))
    assert len(shards) > 2
    assert shards[0] == f"train-00000-of-{len(shards):05d}.parquet"
    assert check(tmp_path / "mix") == []
    ids = [row["id"] for row in load(tmp_path / "mix", split="train").select_columns("id")]
    assert sorted(ids) == sorted(row["id"] for row in load(mix_of_every_kind, split="train").select_columns("id"))


def test_built_again_nothing_is_written(mix, root):
    """But for the states of inputs that were read so soon after they were written that their times cannot tell."""

    def times():
        files = (path for path in mix.rglob("*") if path.is_file() and path.name != "lock")
        return {path: path.stat().st_mtime_ns for path in files if path.suffix != scanned_files.SUFFIX}

    before = times()
    build(SAMPLE, root, mix, BuildOptions())
    assert times() == before


@pytest.mark.parametrize("files", [1, 6, 14, 17, 24, 30])
def test_killed_at_any_moment_and_run_again_it_writes_the_same_bytes(small_mix, root, tmp_path, files):
    """While it scans, compares, writes the shards, describes them."""
    out = tmp_path / "mix"
    command = [sys.executable, "-m", "medmix", "build", "--mixture", "sample", "--root", root, "--out", out]
    command += ["--only", ",".join(SMALL.only), "--limit", str(SMALL.limit), "--workers", "2"]
    with subprocess.Popen(
        command,
        cwd=Path(__file__).resolve().parents[2],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        while sum(len(names) for _, _, names in os.walk(out)) < files and process.poll() is None:
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (out / manifest.NAME).exists()
    build(SAMPLE, root, out, SMALL)
    assert content(out) == content(small_mix)
    assert not list(out.rglob("*.tmp"))


@pytest.mark.parametrize("stage", ["scan", "decide", "materialise", "publish"])
def test_failed_at_any_stage_and_run_again_it_writes_the_same_bytes(small_mix, root, tmp_path, monkeypatch, stage):
    out = tmp_path / "mix"
    with monkeypatch.context() as patch:
        fail_midway(patch, stage)
        with pytest.raises(OSError, match="No space left"):
            build(SAMPLE, root, out, SMALL)
    assert not (out / manifest.NAME).exists()
    build(SAMPLE, root, out, SMALL)
    assert content(out) == content(small_mix)


def test_what_a_killed_worker_left_is_cleared_away(mix, root, scanned, tmp_path):
    scanned(tmp_path / "mix")
    half = tmp_path / "mix" / WORK / "mix-0" / "data" / ".train-00000-of-00001.parquet.123.tmp"
    half.parent.mkdir(parents=True)
    half.write_text("half")
    (tmp_path / "mix" / WORK / "scans" / ".slake.parquet.123.tmp").write_text("half")
    build(SAMPLE, root, tmp_path / "mix", BuildOptions())
    assert content(tmp_path / "mix") == content(mix)
    assert not list(tmp_path.rglob("*.tmp"))


def fail_midway(patch, stage: str) -> None:
    """Let the disk be full after some of a stage's files are written."""
    module, name, after = {
        "scan": (scans, "scan", 3),
        "decide": (builds, "decide", 0),
        "materialise": (materialise, "write", 3),
        "publish": (Path, "rename", 3),
    }[stage]
    real = getattr(module, name)
    calls = 0

    def failing(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls > after:
            raise OSError(28, "No space left on device", "somewhere")
        return real(*arguments, **options)

    patch.setattr(module, name, failing)


def test_an_image_that_comes_later_is_picked_up(root, tmp_path):
    sources = tmp_path / "sources"
    shutil.copytree(root / "slake", sources / "slake")
    options = BuildOptions(only=("slake",))
    (image,) = sorted((sources / "slake").rglob("source.jpg"))[:1]
    data = image.read_bytes()
    image.unlink()
    first = build(SAMPLE, sources, tmp_path / "mix", options)["sources"]["slake"]
    image.write_bytes(data)
    second = build(SAMPLE, sources, tmp_path / "mix", options)["sources"]["slake"]
    assert first["dropped_by_reason"]["missing-image"] > second["dropped_by_reason"].get("missing-image", 0)
    assert second["read"] == first["read"]


def test_an_image_that_changes_during_the_build_stops_it(root, tmp_path, monkeypatch):
    sources = tmp_path / "sources"
    shutil.copytree(root / "slake", sources / "slake")
    real = builds.decide

    def change_then_decide(*arguments):
        for image in (sources / "slake").rglob("source.jpg"):
            image.write_bytes(image.read_bytes() + b"more")
        return real(*arguments)

    monkeypatch.setattr(builds, "decide", change_then_decide)
    with pytest.raises(WorkError, match=r"source\.jpg: the image changed while the build ran"):
        build(SAMPLE, sources, tmp_path / "mix", BuildOptions(only=("slake",)))
    assert not (tmp_path / "mix" / manifest.NAME).exists()


def test_a_limit_reads_the_first_rows_of_each_source(root, tmp_path):
    document = build(SAMPLE, root, tmp_path / "mix", BuildOptions(limit=7))
    assert {entry["read"] for entry in document["sources"].values()} == {7}
    assert any("only the first 7 rows" in note for note in document["notes"])


def test_a_missing_source_stops_the_build_unless_allowed_by_name(root, tmp_path):
    sources = tmp_path / "sources"
    shutil.copytree(root / "medqa", sources / "medqa")
    others = tuple(source for source in SOURCES if source != "medqa")
    with pytest.raises(UsageError, match=f"to build without: --allow-missing {','.join(others)}"):
        build(SAMPLE, sources, tmp_path / "mix", BuildOptions())
    document = build(SAMPLE, sources, tmp_path / "mix", BuildOptions(allow_missing=others))
    assert document["missing"] == list(others)
    assert document["sources"].keys() == {"medqa"}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (BuildOptions(only=("slak",)), "--only 'slak' is not in mixture sample (did you mean 'slake'?)"),
        (
            BuildOptions(allow_missing=("roko",)),
            "--allow-missing 'roko' is not in mixture sample (did you mean 'roco'?)",
        ),
    ],
)
def test_unknown_names_are_met_with_the_nearest(root, tmp_path, options, line):
    with pytest.raises(UsageError) as caught:
        build(SAMPLE, root, tmp_path / "mix", options)
    assert str(caught.value) == line


def test_a_folder_that_is_no_mix_is_left_alone(root, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="is not empty and is not a mix"):
        build(SAMPLE, root, tmp_path, BuildOptions())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_two_builds_into_one_folder_do_not_mix(root, tmp_path):
    import fcntl

    work = tmp_path / "mix" / WORK
    work.mkdir(parents=True)
    with (work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another build is writing to this folder"):
            build(SAMPLE, root, tmp_path / "mix", BuildOptions())


def test_an_output_folder_that_cannot_be_made_is_said_at_once(root, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"mix: cannot write there \(Not a directory\); choose another --out"):
        build(SAMPLE, root, tmp_path / "file" / "mix", BuildOptions())


def test_as_published_keeps_what_leaks_and_says_how_much(root, mix, scanned, tmp_path):
    scanned(tmp_path / "mix")
    published = replace(mixtures.load("v1-as-published"), sources=SAMPLE.sources)
    document = build(published, root, tmp_path / "mix", BuildOptions())
    dropped = {reason for entry in document["sources"].values() for reason in entry["dropped_by_reason"]}
    assert not dropped & {"contaminated", "split-conflict"}
    assert document["leaks"] == manifest.read(mix)["leaks"]
    assert sum(entry["image"] + entry["text"] for entry in document["leaks"]) > 10
    assert check(tmp_path / "mix") == []
