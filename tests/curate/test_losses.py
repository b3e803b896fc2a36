"""A source that vanishes ends the build, unless it is allowed by name; what is allowed is a warning."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from medmix.cli import main
from medmix.curate import losses
from medmix.curate.build import BuildOptions, build
from medmix.curate.check import verify
from medmix.curate.errors import UsageError, WorkError
from medmix.curate.mixtures import load
from medmix.curate.write import manifest


def decided(*rows: tuple[str, str, str]) -> pl.DataFrame:
    """Rows of one source: outcome, stage, reason."""
    schema = ["outcome", "stage", "reason"]
    return pl.DataFrame(rows, schema, orient="row").with_columns(source=pl.lit("roco"), evidence=pl.lit("a.jpg"))


KEPT, MISSING = ("kept", "", ""), ("dropped", "images", "missing-image")


def test_nine_rows_in_ten_for_one_reason_are_a_loss():
    (loss,) = losses.find(decided(KEPT, *[MISSING] * 9), 0.9)
    assert loss.describe() == "roco: 9 of 10 rows are dropped as missing-image (first: a.jpg)"
    assert loss.is_unreadable
    assert losses.find(decided(KEPT, KEPT, *[MISSING] * 8), 0.9) == []


def test_a_rule_that_drops_nearly_all_is_a_warning_and_no_refusal():
    found = losses.find(decided(*[("dropped", "screen", "language")] * 3), 0.9)
    assert [loss.describe() for loss in found] == ["roco: 3 of 3 rows are dropped as language"]
    assert losses.refusal(found, ()) == ""


def test_nothing_of_a_credentialed_source_is_quoted():
    (loss,) = losses.find(decided(MISSING), 0.9, credentialed=["roco"])
    assert loss.describe() == "roco: 1 of 1 rows are dropped as missing-image"


def test_a_source_of_which_nothing_is_kept_for_several_reasons_is_said():
    found = losses.find(decided(MISSING, ("dropped", "duplicates", "duplicate")), 0.9)
    assert [loss.describe() for loss in found] == ["roco: 2 of 2 rows are dropped, for several reasons"]


@pytest.fixture
def without_images(root, tmp_path) -> Path:
    """A root with SLAKE without its images, beside PathVQA."""
    for source in ("slake", "pathvqa"):
        shutil.copytree(root / source, tmp_path / "root" / source)
    shutil.rmtree(tmp_path / "root/slake/Slake1.0/imgs")
    (tmp_path / "m.yaml").write_text(
        "name: m\nversion: 1.0.0\ndescription: d\nsources: {slake: {}, pathvqa: {}}\nevaluation: [{source: slake}]\n"
    )
    return tmp_path


def command(folder: Path, *options: str) -> int:
    arguments = ["--mixture", str(folder / "m.yaml"), "--root", str(folder / "root"), "--out", str(folder / "mix")]
    with pytest.raises(SystemExit) as stop:
        main(["build", *arguments, "--workers", "1", *options])
    return int(stop.value.code or 0)


def test_a_source_without_its_images_ends_the_build_with_1_and_leaves_a_ledger(without_images, capsys):
    assert command(without_images) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "slake: 145 of 145 rows are dropped as missing-image (first: Slake1.0/imgs/" in error
    assert "Mend the files, or build without these rows: --allow-lost slake (each row: " in error
    ledger = pl.read_parquet(without_images / "mix/.work/refused-ledger.parquet")
    assert ledger.filter(pl.col("reason") == "missing-image")["source"].unique().to_list() == ["slake"]
    assert not (without_images / "mix" / manifest.NAME).exists()


def test_what_is_allowed_is_in_the_last_lines_the_manifest_and_check(without_images, capsys):
    assert command(without_images, "--allow-lost", "slake") == 0
    last = capsys.readouterr().err.splitlines()[-3:]
    document = manifest.read(without_images / "mix")
    assert [line.removeprefix("warning: ") for line in last[:2]] == document["warnings"]
    assert document["warnings"][0].startswith("slake: 145 of 145 rows are dropped as missing-image")
    assert document["warnings"][1] == "evaluation set slake test: NOT CHECKED: none of its 31 items could be read"
    assert document["selection"] == {
        "only": [],
        "limit": None,
        "allowed_missing": [],
        "allowed_lost": ["slake"],
        "generated_data": False,
        "not_read": [],
    }
    assert verify(without_images / "mix", workers=1)[:2] == ([], document["warnings"])


def test_the_mixture_sets_the_share(without_images, root):
    shutil.copytree(root / "slake/Slake1.0/imgs/xmlab1", without_images / "root/slake/Slake1.0/imgs/xmlab1")
    with (without_images / "m.yaml").open("a") as file:
        file.write("losses: {share: 0.999}\n")
    mixture = load(str(without_images / "m.yaml"))
    assert build(mixture, without_images / "root", without_images / "mix", BuildOptions())["totals"]["kept"] > 0
    (without_images / "m.yaml").write_text((without_images / "m.yaml").read_text().replace("share: 0.999", "share: 0"))
    with pytest.raises(UsageError, match=r"losses\.share: must be above 0 and at most 1"):
        load(str(without_images / "m.yaml"))


def test_a_name_that_is_no_source_of_the_mixture_is_an_error(without_images, capsys):
    assert command(without_images, "--allow-lost", "slke") == 2
    assert "--allow-lost 'slke' is not in mixture m (did you mean 'slake'?)" in capsys.readouterr().err


def test_evaluation_sets_can_be_required(without_images, capsys):
    text = (without_images / "m.yaml").read_text()
    (without_images / "m.yaml").write_text(text.replace("[{source: slake}]", "[{source: slake}, {images: kvasir}]"))
    assert command(without_images, "--allow-lost", "slake", "--require-evaluation") == 2
    root = without_images / "root"
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"medmix: error: evaluation sets not found under {root}: kvasir; see how to get them with: "
        f"medmix fetch --mixture m --root {root}"
    )
    assert not (without_images / "mix/.work/scans").exists()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


def test_git_lfs_pointers_in_place_of_images_are_named(without_images, root):
    shutil.copytree(root / "slake/Slake1.0/imgs", without_images / "root/slake/Slake1.0/imgs")
    for image in (without_images / "root/slake/Slake1.0/imgs").rglob("source.jpg"):
        image.write_bytes(POINTER)
    mixture = load(str(without_images / "m.yaml"))
    with pytest.raises(WorkError, match=r"a Git LFS pointer; run git lfs pull in the checkout that it came from"):
        build(mixture, without_images / "root", without_images / "mix", BuildOptions())


def statuses(capsys, folder: Path, *sources: str) -> dict[str, dict]:
    with pytest.raises(SystemExit) as stop:
        main(["fetch", "--check", "--root", str(folder), "--json", *sources])
    assert stop.value.code == 1
    return {row["source"]: row for row in json.loads(capsys.readouterr().out)}


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("slake", "Slake1.0/test.json"),
        ("roco", "data/test/radiology/captions.txt"),
        ("medqa", "data_clean/questions/US/4_options/phrases_no_exclude_test.jsonl"),
        ("pathvqa", "test_qa.pkl"),
        ("pmc_vqa", "test.csv"),
        ("pmc_vqa", "images.zip"),
    ],
)
def test_a_git_lfs_pointer_in_place_of_a_file_is_incomplete_and_stops_a_build(root, tmp_path, capsys, source, file):
    shutil.copytree(root / source, tmp_path / "root" / source)
    target = next(iter((tmp_path / "root" / source).rglob(Path(file).name)))
    target.write_bytes(POINTER)
    row = statuses(capsys, tmp_path / "root", source)[source]
    assert row["state"] == "incomplete"
    assert any("Git LFS pointer" in problem and "git lfs pull" in problem for problem in row["problems"])
    (tmp_path / "m.yaml").write_text(f"name: m\nversion: 1.0.0\ndescription: d\nsources: {{{source}: {{}}}}\n")
    with pytest.raises((UsageError, WorkError), match="git lfs pull"):
        build(load(str(tmp_path / "m.yaml")), tmp_path / "root", tmp_path / "mix", BuildOptions())


@pytest.fixture
def half(tmp_path) -> Path:
    """VQA-RAD in the Hub's layout, of whose two training files the second is missing."""
    from medmix.curate import sampledata

    sampledata.write(tmp_path / "all", 0, "hub")
    folder = tmp_path / "root/vqa_rad"
    shutil.copytree(tmp_path / "all/vqa_rad", folder)
    file = next(folder.rglob("train-*.parquet"))
    file.rename(file.with_name("train-00000-of-00002.parquet"))
    (tmp_path / "m.yaml").write_text("name: m\nversion: 1.0.0\ndescription: d\nsources: {vqa_rad: {}}\n")
    return tmp_path


def test_a_missing_shard_is_named_and_stops_the_build_unless_allowed(half, capsys):
    assert command(half) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "vqa_rad: data/train-00001-of-00002.parquet of a numbered set is missing; fetch it again, or build" in last
    assert last.endswith("without its rows: --allow-lost vqa_rad")
    row = statuses(capsys, half / "root", "vqa_rad")["vqa_rad"]
    assert (row["state"], row["problems"][0]) == (
        "incomplete",
        "data/train-00001-of-00002.parquet of a numbered set is missing",
    )
    assert command(half, "--allow-lost", "vqa_rad") == 0
    (warning,) = manifest.read(half / "mix")["warnings"]
    assert warning == (
        "vqa_rad: files of a numbered set are missing, as allowed: 1, first data/train-00001-of-00002.parquet"
    )
