"""Evaluation sets without their images: fingerprint files, and what a build and `medmix leaks` find with them."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from PIL import Image

from medmix.curate.build import BuildOptions, build
from medmix.curate.check import check
from medmix.curate.copies.fingerprints import FINGERPRINT
from medmix.curate.errors import UsageError
from medmix.curate.evaluationsets import external_sets, fingerprint_file, leak_report
from medmix.curate.measure.text_keys import Texts, measure_texts
from medmix.curate.mixture import FileFilter
from medmix.curate.mixtures import load

from ..pictures import ALTERATIONS, picture

BUDGET = 1_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Three pictures, a blank one, and one that is cut short."""
    path = tmp_path_factory.mktemp("sets") / "pictures"
    path.mkdir()
    for seed in (1, 2, 3):
        picture(seed).save(path / f"{seed}.png")
    Image.new("L", (64, 64), 9).save(path / "blank.png")
    (path / "cut.png").write_bytes((path / "1.png").read_bytes()[:500])
    return path


@pytest.fixture(scope="module")
def file(folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("files") / "pictures.parquet"
    external_sets.of_images(folder, FileFilter(), "pictures", out, BUDGET, workers=1)
    return out


def test_the_file_knows_every_item_and_holds_no_picture(folder, file):
    found = fingerprint_file.read(file)
    assert (found.name, found.items.height, found.unreadable, len(found.images)) == ("pictures", 5, 1, 4)
    assert found.items["id"].to_list() == [f"pictures/{name}.png" for name in ("1", "2", "3", "blank", "cut")]
    assert found.items["images"].to_list() == [[0], [1], [2], [3], []]
    assert found.images[3].sketch is None
    assert [len(image.sketch.levels) for image in found.images[:3]] == [142 * 115 // 4 + 1] * 3
    assert pq.read_schema(file).names == ["id", "group", "problem", "question_answer_key", "images", "grams"]


GOLDEN = Path(__file__).with_name("golden_fingerprint.json")


def waves() -> bytes:
    """A picture that no library's version changes."""
    y, x = np.mgrid[:200, :240]
    tilted = np.sin(x / 7 + y / 19) + np.sin(y / 11 - x / 5) + np.sin(x * y / 900) + np.sin((x - 90) ** 2 / 500)
    out = io.BytesIO()
    Image.fromarray(np.round(128 + 28 * tilted).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


SENTENCE = Texts("What are the 2.5 cm “lesion” (T2+) on this x-ray of 1:10?", "No, HER2- only.", "", ())


def measured() -> dict[str, Any]:
    (image,) = external_sets._image_columns([waves()], BUDGET)["images"]
    (keys,) = measure_texts([SENTENCE])
    grams = external_sets._grams({0: SENTENCE})[0]
    return {
        "fingerprints": image["fingerprints"].hex(),
        "levels": image["sketch"]["levels"].hex(),
        "question_answer_key": keys.question_answer_key,
        "grams": [f"{gram['gram']:016x}" for gram in grams],
    }


def rewrite() -> None:
    GOLDEN.write_text(json.dumps([fingerprint_file.VERSION, measured()]))


def test_the_measures_of_this_version_are_these():
    """Within what processors may differ. If this fails, files made before no longer fit: raise `VERSION`, then run

    python -c "from tests.curate.evaluationsets import test_external_sets as t; t.rewrite()"
    """
    version, golden = json.loads(GOLDEN.read_text())
    assert version == fingerprint_file.VERSION
    now, then = measured(), golden
    one, other = (np.frombuffer(bytes.fromhex(kept["fingerprints"]), FINGERPRINT)[0] for kept in (now, then))
    assert np.bitwise_count(one["hash"] ^ other["hash"]).sum() <= 4
    assert len(set(one["keys"]) & set(other["keys"])) >= 0.9 * len(set(other["keys"]))
    levels = [np.frombuffer(bytes.fromhex(kept["levels"]), np.uint8) for kept in (now, then)]
    assert np.mean(levels[0] == levels[1]) >= 0.97
    assert (now["question_answer_key"], now["grams"]) == (then["question_answer_key"], then["grams"])


def made_by(file: Path, out: Path, **changes) -> Path:
    table = pq.read_table(file)
    about = {**json.loads(table.schema.metadata[b"medmix.evaluation"]), **changes}
    pq.write_table(table.replace_schema_metadata({b"medmix.evaluation": json.dumps(about)}), out)
    return out


def test_a_file_of_another_version_or_of_another_kind_is_refused_in_a_line(file, tmp_path):
    other = made_by(file, tmp_path / "old.parquet", version=0, medmix="0.0.9")
    with pytest.raises(UsageError, match=r"old.parquet: was made by medmix 0.0.9 with fingerprints of version 0; this"):
        fingerprint_file.read(other)
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "plain.parquet")
    with pytest.raises(UsageError, match=r"plain.parquet: is no fingerprint file; make it again"):
        fingerprint_file.read(tmp_path / "plain.parquet")
    (tmp_path / "cut.parquet").write_bytes(file.read_bytes()[:900])
    with pytest.raises(UsageError, match=r"cut.parquet: cannot be read"):
        fingerprint_file.read(tmp_path / "cut.parquet")


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """A folder of images: altered copies of two pictures, the bytes of a blank one, and strangers."""
    path = tmp_path_factory.mktemp("mine") / "mine"
    path.mkdir()
    ALTERATIONS["flip"](picture(1)).save(path / "mirrored.png")
    ALTERATIONS["crop of 10 %"](picture(2)).save(path / "cut.png")
    picture(3).save(path / "same.bmp")
    Image.new("L", (64, 64), 9).save(path / "blank.tif")
    picture(7).save(path / "stranger.png")
    Image.new("L", (64, 64), 90).save(path / "other-blank.png")
    return path


def test_copies_are_found_by_the_file_alone(file, images):
    found = leak_report.report(images, [file], "test", workers=1)
    hits = {hit["id"]: (hit["kind"], hit["item"], hit["transformation"].split(";")[0]) for hit in found["hits"]}
    assert hits == {
        "mirrored.png": ("near-duplicate", "pictures/1.png", "flipped"),
        "cut.png": ("near-duplicate", "pictures/2.png", "cropped and enlarged 1.25 times"),
        "same.bmp": ("image", "pictures/3.png", ""),
        "blank.tif": ("image", "pictures/blank.png", ""),
    }
    assert found["sets"] == [{"name": "pictures", "items": 5, "unreadable": 1}]
    (row,) = found["matrix"]
    assert (row["source"], row["set"], row["image"], row["near-duplicate"]) == ("mine", "pictures", 2, 2)


def test_a_folder_that_is_compared_with_itself(folder):
    found = leak_report.report(folder, [folder], "test", workers=1)
    assert [hit["id"] for hit in found["hits"]] == ["1.png", "2.png", "3.png", "blank.png"]
    assert [entry["id"] for entry in found["unreadable"]] == ["cut.png"]


def test_a_mix_with_its_own_test_split_after_its_splits_were_cleaned(mix_of_every_kind):
    found = leak_report.report(mix_of_every_kind, [mix_of_every_kind], "test", workers=1)
    assert found["hits"] == []
    assert sum(row["ngram-match"] for row in found["matrix"] if row["source"] == "medqa") > 0


REPORTED = "evaluation: [{source: medqa, leaks: report}]\nconflicts: report\n"


def test_texts_of_a_mix_leak_into_another_one(mix, root, tmp_path):
    out = tmp_path / "as-published"
    write_mixture(tmp_path, "as-published", REPORTED, ["medqa", "pathvqa"])
    build(load(str(tmp_path / "as-published.yaml")), root, out, BuildOptions())
    found = leak_report.report(out, [mix], "test", workers=1)
    assert [(hit["id"], hit["kind"], hit["item"]) for hit in found["hits"] if hit["kind"] == "text"] == [
        ("medqa/train/80", "text", "medqa/test/0")
    ]


def write_mixture(folder: Path, name: str, rest: str, sources) -> Path:
    path = folder / f"{name}.yaml"
    lines = "".join(f"  {source}: {{}}\n" for source in sources)
    path.write_text(f"name: {name}\nversion: 1.0.0\ndescription: d\nsources:\n{lines}{rest}")
    return path


@pytest.fixture
def root_with_set(root, tmp_path) -> Path:
    """The sample sources, and as evaluation set a mirrored and cut image of PathVQA's."""
    path = tmp_path / "root"
    path.mkdir()
    (path / "pathvqa").symlink_to(root / "pathvqa")
    (path / "benchmark").mkdir()
    with Image.open(root / "pathvqa/split/images/train/train_0001.jpg") as image:
        width, height = image.size
        copy = image.convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        copy.crop((width // 16, height // 16, width, height)).save(path / "benchmark/b1.png")
    return path


RULES = "evaluation:\n  - {source: pathvqa}\n  - {images: benchmark}\n  - {images: absent, leaks: report}\n"


def test_a_build_drops_the_records_with_copies_of_a_folder_of_images(root_with_set, tmp_path):
    mixture = load(str(write_mixture(tmp_path, "mine", RULES, ["pathvqa"])))
    manifest = build(mixture, root_with_set, tmp_path / "out", BuildOptions())
    ledger = pl.read_parquet(tmp_path / "out/ledger.parquet").filter(pl.col("evidence") == "benchmark/b1.png")
    assert ledger.height > 1
    assert set(ledger["reason"]) == {"contaminated"}
    assert all(text.startswith("flipped") for text in ledger["transformation"])
    assert all(0.9 <= score <= 1 for score in ledger["score"])
    (mine,) = [entry for entry in manifest["evaluation"] if entry["set"] == "benchmark"]
    assert (mine["items"], mine["hits"], mine["unreadable"], mine["source"]) == (1, ledger.height, 0, "")
    assert "evaluation set absent: NOT CHECKED: it was not found or not read" in manifest["warnings"]
    assert check(tmp_path / "out") == []


def test_the_file_of_a_set_does_in_place_of_its_folder(root_with_set, tmp_path):
    """The sketches of the file tell how like two images are less precisely than the images of the folder."""
    mixture = load(str(write_mixture(tmp_path, "mine", RULES, ["pathvqa"])))
    build(mixture, root_with_set, tmp_path / "with-folder", BuildOptions())
    benchmark = root_with_set / "benchmark"
    external_sets.of_images(benchmark, FileFilter(), "benchmark", root_with_set / "benchmark.parquet", BUDGET, 1)
    shutil.rmtree(benchmark)
    build(mixture, root_with_set, tmp_path / "with-file", BuildOptions())
    one, other = (pl.read_parquet(tmp_path / name / "ledger.parquet") for name in ("with-folder", "with-file"))
    vague = ["score", "transformation"]
    assert one.drop(vague).equals(other.drop(vague))
    assert one["score"].max() > other["score"].max() > 0.58


def test_an_unusable_set_stops_the_build_before_anything_is_written(root_with_set, tmp_path):
    mixture = load(str(write_mixture(tmp_path, "mine", RULES, ["pathvqa"])))
    (root_with_set / "benchmark/b1.png").unlink()
    with pytest.raises(UsageError, match=r"benchmark: no images match"):
        build(mixture, root_with_set, tmp_path / "out", BuildOptions())
    assert not (tmp_path / "out/manifest.json").exists()


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ("{images: a, source: pathvqa}", r"evaluation\[0\]: give `source`, with its `split`, or `images`"),
        ("{leaks: drop}", r"evaluation\[0\]: give `source`"),
        ("{images: ../a}", r"evaluation\[0\].images: '../a' is not a plain name"),
        (
            "{images: a, file_filter: {tabel: x}}",
            r"evaluation\[0\].file_filter.tabel: unknown key \(did you mean 'table'\?\)",
        ),
        ("{images: a, file_filter: {column: x}}", r"evaluation\[0\].file_filter: `column` needs a `table`"),
        ("{images: a}, {source: pathvqa}, {images: a}", r"evaluation\[2\]: a is named twice; name it once"),
    ],
)
def test_a_mistaken_set_is_told_before_work_starts(tmp_path, item, problem):
    path = write_mixture(tmp_path, "mine", f"evaluation: [{item}]\n", ["pathvqa"])
    with pytest.raises(UsageError, match=problem):
        load(str(path))
