"""A mix on a local Hub: when shards are downloaded, and the messages when they cannot be."""

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from medmix.cli import main
from medmix.curate.errors import UsageError, WorkError
from medmix.curate.evaluationsets import item_keys
from medmix.curate.publish import hub_mix
from medmix.train.data import stream

from ...hub import Hub
from ..conftest import TINY, records, write_mix

MIX = "someone/small"
WHOLE = r"GET /lfs/"


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A mix as its maker has it; the records of `texts` are restricted."""
    rows = {"train": records(12, "train"), "test": records(6, "test")}
    return write_mix(tmp_path / "local", rows)


@pytest.fixture
def commit(hub: Hub, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same on the Hub, without what is restricted."""
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
    return hub.add(MIX, published(local))


def published(mix: Path) -> dict[str, bytes]:
    files = {path.relative_to(mix).as_posix(): path.read_bytes() for path in mix.rglob("*") if path.is_file()}
    return {name: data for name, data in files.items() if not name.startswith("restricted/")}


def shards_there(mix: Path) -> list[str]:
    return sorted(path.relative_to(mix).as_posix() for path in (mix / "data").rglob("*.parquet"))


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


def test_shards_are_downloaded_on_first_read(
    hub: Hub, commit: str, local: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mix = hub_mix.open_mix(MIX)
    assert mix.name == commit
    assert f"{MIX}: skipped, since they are not on the Hub: records of texts" in capsys.readouterr().err
    split = stream.open_split(mix, "train")
    assert split.epoch_counts() == {"colours": 12, "pictures": 12}
    assert shards_there(mix) == []
    first = stream.Reader(split, ["id", "images"]).row(next(stream.order(split, seed=0, epoch=0)))
    assert len(shards_there(mix)) == 1
    reader = stream.Reader(split, ["id"])
    rest = [reader.row(position) for position in stream.order(split, seed=0, epoch=0)]
    assert rest[0]["id"] == first["id"] and len(rest) == 24
    assert shards_there(mix) == [name for name in shards_there(local) if "/train-" in name]
    wanted = {row["id"]: row for row in stream.rows(stream.open_split(local, "train"), ["id", "images"])}
    assert first == wanted[first["id"]]


def test_the_keys_of_the_evaluation_items_come_with_the_manifest(
    hub: Hub, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
    item_keys.write(local / item_keys.NAME, {"slake test": ["0" * 64]})
    hub.add(MIX, published(local))
    assert item_keys.read(hub_mix.open_mix(MIX)) == {"slake test": {"0" * 64}}


def test_downloaded_shards_stay(hub: Hub, commit: str) -> None:
    mix = hub_mix.open_mix(MIX)
    list(stream.rows(stream.open_split(mix, "train"), ["id"]))
    asked = len(hub.log)
    assert hub_mix.open_mix(MIX, commit) == mix
    list(stream.rows(stream.open_split(mix, "train"), ["id"]))
    assert len(hub.log) == asked


def test_only_the_end_of_a_shard_is_asked_for_to_count_its_rows(
    hub: Hub, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_mix, "FOOTER_BYTES", 100)  # less than a footer, so that a second look is needed
    mix = hub_mix.open_mix(MIX)
    assert [bool(request.range) for request in hub.answered(WHOLE)] == [False] + [True] * 16  # first the manifest
    assert len(stream.open_split(mix, "test")) == 12


def test_an_interrupted_download_of_a_shard_resumes(hub: Hub, commit: str) -> None:
    mix = hub_mix.open_mix(MIX)
    hub.fail(WHOLE, "cut")
    assert len(list(stream.rows(stream.open_split(mix, "train"), ["id"]))) == 24


def test_a_damaged_shard_is_not_kept(hub: Hub, commit: str) -> None:
    mix = hub_mix.open_mix(MIX)
    hub.fail(WHOLE, "flip")
    split = stream.open_split(mix, "train")
    with pytest.raises(WorkError, match=r"data/colours/train-00000.* did not arrive as someone/small has it"):
        list(stream.rows(split, ["id"]))
    assert shards_there(mix) == []
    assert len(list(stream.rows(split, ["id"]))) == 24


def test_a_shard_that_the_manifest_does_not_name_is_refused(hub: Hub, commit: str, local: Path) -> None:
    files = published(local)
    one, other = (f"data/colours/train-0000{number}-of-00002.parquet" for number in (0, 1))
    files[one] = files[other]
    mix = hub_mix.open_mix(MIX, hub.add(MIX, files))
    with pytest.raises(WorkError, match=r"train-00000.*: another SHA-256 than in the manifest"):
        list(stream.rows(stream.open_split(mix, "train"), ["id"]))
    assert shards_there(mix) == []


def test_a_dataset_that_is_no_mix(hub: Hub, commit: str) -> None:
    hub.add("someone/pictures", {"data/train.parquet": b"PAR1"})
    with pytest.raises(UsageError, match=r"someone/pictures on the Hub is no mix \(no manifest.json at "):
        hub_mix.open_mix("someone/pictures")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("owner/name", ("owner/name", "main")),
        ("owner/name@v1.0", ("owner/name", "v1.0")),
        ("owner/na.me-2@refs/pr/1", ("owner/na.me-2", "refs/pr/1")),
        ("name", None),
        ("./name", None),
        ("/a/b", None),
        ("a/b/c", None),
    ],
)
def test_what_is_an_id_on_the_hub(text: str, parts: tuple[str, str] | None) -> None:
    assert hub_mix.parse_id(text) == parts


def test_training_on_it_is_training_on_the_folder(
    hub: Hub, commit: str, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)  # for the worker process
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    settings = [word for override in (*TINY, "run.steps=3", "run.workers=1") for word in ("--set", override)]
    assert run("train", "--mixture", f"{MIX}@{commit}", "--recipe", "smoke-cpu", *settings) == 0
    rows = [row for row in records(12, "train") if row["source"] != "texts"]
    same = write_mix(tmp_path / "same", {"train": rows})
    assert run("train", "--mixture", same, "--recipe", "smoke-cpu", *settings[:-2]) == 0
    logs = [Path("runs", name, "train_log.jsonl").read_text() for name in ("small-smoke-cpu", "same-smoke-cpu")]
    ours, theirs = ([json.loads(line)["loss"] for line in log.splitlines()] for log in logs)
    assert ours == theirs


def test_what_is_neither_a_folder_nor_on_the_hub(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("train", "--mixture", "nobody/nothing") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(
        "medmix: error: there is no folder nobody/nothing, and from the Hub: nobody/nothing does not exist"
    )
    assert run("train", "--mixture", "mixes/v1") == 2
    assert "no mix at mixes/v1; build one first: medmix build --mixture NAME --out mixes/v1" in capsys.readouterr().err
