"""The walls of the house: who may import whom, what a wing hands on, what is installed."""

import ast
import configparser
import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

ORDER = """
    medmix
    evaluate.ablation
    evaluate.comparison
    evaluate.answers evaluate.classification
    evaluate.metrics evaluate.intervals evaluate.formatting evaluate.contamination
    train.export
    train.dry_run
    train.run
    train.estimate_image_text
    train.estimate
    train.memory
    train.survey
    train.model
    train.data
    train.recipes
    train.rules
    train.recipe train.device train.rank_zero
    curate.build_parts
    curate.build curate.check
    curate.check_keys
    curate.check_shards
    curate.losses curate.omissions curate.parts
    curate.publish
    curate.evaluationsets curate.describe
    curate.write
    curate.decide
    curate.measure curate.fetch
    curate.read
    curate.sources curate.sampledata
    curate.mixtures
    curate.mixture curate.facts
    curate.licences
    curate.tables
    curate.ray_engine
    curate.engine curate.config curate.hashed_parquet curate.shards curate.locks curate.file_state
    curate.record curate.errors curate.progress curate.code_digest curate.copies
"""
"""Wings and rooms from the top floor down: each may import what stands on a lower line, and nothing else."""

STAGES = ("screen", "policy", "duplicates", "contamination", "contradictions", "splits", "caps")
MOST_FILES = 24
"""In one folder; readers of sources and trees of sample data are of one kind each, and do not count."""

FLOORS = {place: floor for floor, line in enumerate(ORDER.split("\n")) for place in line.split()}
FOLDERS = ("curate", "train", "evaluate", "medmix")


@cache
def files() -> dict[str, Path]:
    """Give every file of the product by its module's name, `curate.decide.caps`."""
    found = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
        for folder in FOLDERS
        for file in sorted((ROOT / folder).rglob("*.py"))
    }
    assert len(found) > 250
    return found


@cache
def imports(file: Path) -> frozenset[str]:
    """Give what a file imports anywhere in it, names included: `curate.record.Record`, `polars`, ..."""
    package = file.relative_to(ROOT).parent.parts
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = [*base, *(node.module.split(".") if node.module else [])]
            found |= {".".join([*module, alias.name]) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return frozenset(
        name.removeprefix("medmix.") if name.split(".")[1:2] and name.split(".")[1] in FOLDERS else name
        for name in found
    )


def module_of(name: str) -> str | None:
    """Give the module that an imported name is, or is in; None for other people's."""
    known = files()
    return name if name in known else parent if (parent := name.rpartition(".")[0]) in known else None


def imported(module: str) -> set[str]:
    found = {module_of(name) for name in imports(files()[module])}
    return {other for other in found if other is not None} - {module}


def place_of(module: str) -> str:
    """Give the wing or room of `ORDER` that a module belongs to."""
    parts = module.split(".")
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    found = next((name for name in names if name in FLOORS), None)
    assert found, f"{files()[module].relative_to(ROOT)} has no place in ORDER"
    return found


def arrows() -> Iterator[tuple[str, str]]:
    for module in files():
        if module not in ("curate", "train", "evaluate"):
            yield from ((module, other) for other in sorted(imported(module) - set(FOLDERS)))


def path(module: str) -> str:
    return files()[module].relative_to(ROOT).as_posix()


def test_every_line_of_the_order_is_a_wing_or_a_room():
    assert set(FLOORS) <= files().keys()


def test_no_arrow_runs_back_up():
    wrong = [
        f"{path(module)} imports {path(other)}"
        for module, other in arrows()
        if place_of(module) != place_of(other) and FLOORS[place_of(module)] >= FLOORS[place_of(other)]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_two_files_import_each_other_in_a_circle():
    below = {module: imported(module) for module in files()}
    while free := [module for module, others in below.items() if not others & below.keys()]:
        for module in free:
            del below[module]
    walked = sorted(below)[:1]
    while walked and walked.count(walked[-1]) < 2:
        walked.append(min(below[walked[-1]] & below.keys()))
    circle = walked[walked.index(walked[-1]) :] if walked else []
    assert not circle, " imports ".join(path(module) for module in circle)


def test_wings_import_of_each_other_only_what_is_handed_on():
    wrong = []
    for module, other in arrows():
        wing = place_of(other)
        if wing in ("medmix", place_of(module)) or files()[wing].name != "__init__.py" or other == wing:
            continue
        room = other.removeprefix(f"{wing}.").split(".")[0]
        if room not in importlib.import_module(f"medmix.{wing}").__all__:
            wrong.append(f"{path(module)} imports {path(other)}, which {wing} keeps to itself")
    assert not wrong, "\n".join(wrong)


def test_a_wing_hands_on_nothing_that_no_other_uses():
    used = {other for module, other in arrows() if place_of(module) != place_of(other)}
    wings = {place for place in FLOORS if place not in FOLDERS and files()[place].name == "__init__.py"}
    for wing in wings - used:  # a wing that is imported itself hands on functions instead of rooms
        handed = {f"{wing}.{room}" for room in importlib.import_module(f"medmix.{wing}").__all__}
        assert sorted(handed - used) == []


@pytest.mark.parametrize("wing", [place for place in FLOORS if place not in FOLDERS])
def test_a_wing_says_what_comes_in_and_what_goes_out(wing):
    text = ast.get_docstring(ast.parse(files()[wing].read_text(encoding="utf-8")))
    assert text and text.count(".") >= (2 if files()[wing].name == "__init__.py" else 1)


def test_no_folder_is_a_long_row():
    rows = {
        folder.relative_to(ROOT).as_posix(): len(list(folder.glob("*.py")))
        for module, file in files().items()
        if (folder := file.parent).name not in ("sources", "sampledata")
    }
    assert {folder: count for folder, count in rows.items() if count > MOST_FILES} == {}


@pytest.mark.parametrize("module", [name for name in files() if name.startswith("curate")])
def test_curation_needs_no_torch(module):
    assert not {name.split(".")[0] for name in imports(files()[module])} & {"torch", "transformers", "peft", "timm"}


@pytest.mark.parametrize("module", [name for name in files() if name.startswith("curate.sources.")])
def test_readers_know_only_the_record_and_the_small_readers(module):
    assert {place_of(other) for other in imported(module)} <= {
        *("curate.record", "curate.errors", "curate.tables", "curate.sources")
    }


@pytest.mark.parametrize("stage", STAGES)
def test_stages_do_not_import_each_other(stage):
    others = {f"curate.decide.{name}" for name in (*STAGES, "stages") if name != stage}
    assert not imported(f"curate.decide.{stage}") & others


def test_only_the_network_rooms_touch_the_network():
    network = {"huggingface_hub", "requests", "urllib", "http", "socket"}
    touching = {path(module) for module, file in files().items() if network & {n.split(".")[0] for n in imports(file)}}
    publishing = ("hub", "hub_errors", "retries", "xet", "hub_user")
    assert touching == {
        "curate/fetch/hub.py",
        "curate/ray_engine.py",
        *(f"curate/publish/{name}.py" for name in publishing),
    }


def test_tests_stand_in_the_wings_that_they_test():
    known = {
        Path(folder, *module.split(".")[1:]) for folder in FOLDERS for module in files() if module.startswith(folder)
    }
    wings = {file.parent.relative_to(ROOT / "tests") for file in (ROOT / "tests").glob("*/*/**/test_*.py")}
    assert wings <= known


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
