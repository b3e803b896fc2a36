"""The example in CONTRIBUTING.md is whole: its blocks, put where they say, make a fifteenth source."""

import ast
import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
FILES = ("recipes/sources/wards.yaml", "curate/sources/wards.py", "mixtures/ward-rounds.yaml")

QUESTIONS = """\
id,patient,film,question,answer,split
q1,p1,f1.png,Is there a tube?,yes,train
q2,p1,f2.png,Where does it end?,above the carina,train
q3,p2,f3.png,Is there a tube?,no,test
q4,p2,f4.png,Is the heart large?,no,train
q5,p3,f5.png,Is there a tube?,no,train
q6,p4,f1.png,Is there a tube?,no,dev
q7,p4,f1.png
"""

FATES = {
    "wards/q1": ("kept", "", ""),
    "wards/q2": ("kept", "", ""),
    "wards/q3": ("kept", "", ""),
    "wards/q4": ("dropped", "split-conflict", "wards/q3"),
    "wards/q5": ("dropped", "missing-image", "films/f5.png"),
    "wards/questions/5": (
        "dropped",
        "unparsable-row",
        "field 'split' is 'dev', expected train, validation, test",
    ),
    "wards/questions/6": ("dropped", "unparsable-row", "line 8: 3 fields, the header has 6"),
}


def blocks() -> dict[str, str]:
    """Give path -> text of the page's blocks whose first line is a comment with a path."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    fenced = re.findall(r"^( *)```(?:yaml|python)\n(.*?)^\1```$", page, flags=re.MULTILINE | re.DOTALL)
    texts = [textwrap.dedent(text) for _, text in fenced]
    return {text.splitlines()[0].removeprefix("# "): text for text in texts}


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """A copy of the package, laid out as pip does, with the example in it; give the folder to import from."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "medmix", site / "medmix", ignore=shutil.ignore_patterns("__pycache__"))
    for room in ("curate", "recipes", "mixtures", "cards"):
        shutil.copytree(ROOT / room, site / "medmix" / room, ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in blocks().items():
        assert not (site / "medmix" / path).exists()
        (site / "medmix" / path).write_text(text, encoding="utf-8")
    return site


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    """A root with seven rows of the source, four films and one film that is not there."""
    root = tmp_path_factory.mktemp("sources")
    films = root / "wards" / "films"
    films.mkdir(parents=True)
    for number in range(1, 5):
        Image.linear_gradient("L").rotate(90 * number).resize((64, 64)).save(films / f"f{number}.png")
    (root / "wards" / "questions.csv").write_text(QUESTIONS)
    return root


def medmix(package: Path, *arguments: object) -> str:
    command = "import sys; sys.path.insert(0, sys.argv.pop(1)); from medmix.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command, str(package), *map(str, arguments)],
        cwd=package,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_has_a_block_for_every_file_of_a_source():
    assert tuple(blocks()) == FILES


def test_the_example_stays_behind_the_walls_of_the_readers():
    tree = ast.parse(blocks()["curate/sources/wards.py"])
    own = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level}
    assert own == {"errors", "record", "tables", None}


def test_the_new_source_is_listed(package):
    entries = {entry["id"]: entry for entry in json.loads(medmix(package, "sources", "--json"))}
    assert len(entries) == 15
    assert (entries["wards"]["licence"], entries["wards"]["group"]) == ("CC-BY-4.0", "the patient")


def test_a_mix_is_built_from_it_to_the_row(package, sources, tmp_path):
    out = tmp_path / "mix"
    told = medmix(
        package, "build", "--mixture", "ward-rounds", "--root", sources, "--out", out, "--workers", 1, "--json"
    )
    document = json.loads(told)
    assert (document["totals"]["read"], document["totals"]["kept"]) == (7, 3)
    assert document["warnings"] == []
    ledger = pl.read_parquet(out / "ledger.parquet")
    assert {
        row["id"]: (row["outcome"], row["reason"], row["evidence"]) for row in ledger.iter_rows(named=True)
    } == FATES
    rows = pl.concat([pl.read_parquet(path) for path in sorted((out / "data" / "wards").glob("*.parquet"))])
    assert rows.sort("id").select("id", "split", "group", "answer", "license", "license_verdict").rows() == [
        ("wards/q1", "train", "wards/p1", "yes", "CC-BY-4.0", "redistributable"),
        ("wards/q2", "train", "wards/p1", "above the carina", "CC-BY-4.0", "redistributable"),
        ("wards/q3", "test", "wards/p2", "no", "CC-BY-4.0", "redistributable"),
    ]
    assert medmix(package, "check", out) == ""
