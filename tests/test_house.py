"""The walls of the house: who may import whom, what is installed, what is named in the docs."""

import ast
import configparser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("screen", "policy", "duplicates", "contamination", "contradictions", "splits", "caps")
ABOVE_STAGES = {"build", "decide"}


def imports(file: Path) -> set[str]:
    """Give the medmix modules that a file imports, as `curate.record`, `train.loop`, ..."""
    package = file.relative_to(ROOT).parent.parts
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = [*base, *(node.module.split(".") if node.module else [])]
            found |= {".".join([*module, alias.name]) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name.removeprefix("medmix.") for name in found}


def python_files(folder: str) -> list[Path]:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    return files


@pytest.mark.parametrize("file", python_files("curate"), ids=lambda file: file.relative_to(ROOT).as_posix())
def test_curate_knows_neither_training_nor_the_command(file):
    names = imports(file)
    assert not {name for name in names if name.split(".")[0] in ("train", "evaluate", "torch", "transformers", "cli")}


@pytest.mark.parametrize("file", python_files("train"), ids=lambda file: file.relative_to(ROOT).as_posix())
def test_training_knows_neither_its_scores_nor_the_command(file):
    assert not {name for name in imports(file) if name.split(".")[0] in ("evaluate", "cli")}


@pytest.mark.parametrize("file", python_files("evaluate"), ids=lambda file: file.relative_to(ROOT).as_posix())
def test_scoring_does_not_know_the_command(file):
    assert not {name for name in imports(file) if name.startswith("cli")}


@pytest.mark.parametrize("file", python_files("curate/sources"), ids=lambda file: file.name)
def test_readers_know_only_the_record_and_the_small_readers(file):
    own = {name.split(".")[1] for name in imports(file) if name.startswith("curate.")}
    assert own <= {"record", "errors", "tables", "sources"}


@pytest.mark.parametrize("stage", STAGES)
def test_stages_do_not_import_each_other(stage):
    own = {name.split(".")[1] for name in imports(ROOT / "curate" / f"{stage}.py") if name.startswith("curate.")}
    assert not own & (ABOVE_STAGES | set(STAGES) - {stage})


def test_only_the_network_rooms_touch_the_network():
    touching = {
        file.relative_to(ROOT).as_posix()
        for folder in ("curate", "train", "evaluate", "medmix")
        for file in python_files(folder)
        if {"huggingface_hub", "requests", "urllib", "http", "socket"} & {name.split(".")[0] for name in imports(file)}
    }
    own = {f"curate/publish/{name}.py" for name in ("faults", "hub", "retries")}
    assert touching == {"curate/fetch.py", *own}


def test_every_package_on_disk_is_installed():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    on_disk = {
        "medmix." + file.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for folder in ("curate", "train", "evaluate")
        for file in (ROOT / folder).rglob("__init__.py")
    }
    assert listed == on_disk | {"medmix", "medmix.recipes", "medmix.mixtures", "medmix.cards"}
