"""Scans: what they hold of the sample data, and which changes of medmix itself make them false."""

import hashlib
import json
import shutil
from importlib.metadata import version
from pathlib import Path

import polars as pl
import pytest

from medmix.curate import code_digest as code
from medmix.curate.decide import comparisons
from medmix.curate.measure.scan import CODE, SCHEMA, ScanTask, scan
from medmix.curate.measure.text import find_model
from medmix.curate.sources import Shard

from ... import test_house as house

GOLDEN = Path(__file__).with_name("golden_scan.json")
OF_THE_MACHINE = {"fingerprints"}
"""Times of files; and what processors may round otherwise, which `evaluationsets/golden_fingerprint.json` holds."""
OF_PILLOW = {"image_sha256", "image_phash", "image_key", "image_bytes"}
"""What hangs on the bytes that Pillow writes when it makes the sample data."""


def content(mix: Path) -> dict[str, dict[str, str]]:
    """Digest each column of the scans that a build of the sample data left, by source."""
    found = {}
    for source in sorted({path.name.rpartition("-")[0] for path in (mix / ".work" / "scans").iterdir()}):
        scans = pl.read_parquet(mix / ".work" / "scans" / f"{source}-*.parquet").sort("file", "row", "key")
        columns = {
            name: json.dumps(scans[name].to_list(), sort_keys=True)
            for name in scans.columns
            if name not in OF_THE_MACHINE
        }
        found[source] = {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in columns.items()}
    return found


def rewrite() -> None:
    from medmix.curate import mixtures
    from medmix.curate.build import BuildOptions, build

    mix = Path("out") / "golden"
    build(mixtures.load("sample"), None, mix, BuildOptions())
    golden = {"pillow": version("pillow"), "scans": content(mix)}
    GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


def test_the_scans_of_the_sample_data_hold_this(mix):
    """If this fails, scans hold something else than before. Where that is meant, run

    python -c "from tests.curate.measure import test_scan as t; t.rewrite()"
    """
    golden, now = json.loads(GOLDEN.read_text()), content(mix)
    assert now.keys() == golden["scans"].keys()
    compared = set(SCHEMA.names) - OF_THE_MACHINE - (set() if golden["pillow"] == version("pillow") else OF_PILLOW)
    changed = {
        source: sorted(name for name in compared if columns.get(name) != golden["scans"][source].get(name))
        for source, columns in now.items()
    }
    assert {source: names for source, names in changed.items() if names} == {}


@pytest.fixture
def rooms(tmp_path, monkeypatch) -> Path:
    """A copy of `curate/` that may be edited, and of which code digests are taken."""
    copy = shutil.copytree(house.ROOT / "curate", tmp_path / "curate", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "__file__", str(copy / "code_digest.py"))
    return copy


@pytest.fixture
def versions(root, rooms, tmp_path):
    """Scan a shard and give its file, and the version of comparisons, by the code as it is then."""
    shard = Shard(("VQA_RAD Dataset Public.json",))
    task = ScanTask(
        "vqa_rad", root / "vqa_rad", "original", shard, tmp_path / "scans", 10**8, "en", find_model(None), 3
    )

    def take() -> tuple[Path, str]:
        code.code_digest.cache_clear()
        comparisons.code_version.cache_clear()
        return scan(task), comparisons.code_version()

    yield take
    code.code_digest.cache_clear()
    comparisons.code_version.cache_clear()


@pytest.mark.parametrize(
    ("file", "scan_again", "compare_again"),
    [
        ("describe/cards.py", False, False),
        ("decide/caps.py", False, False),
        ("read/inputs.py", False, False),
        ("build.py", False, False),
        ("copies/confirm.py", False, True),
        ("decide/comparisons.py", False, True),
        ("measure/text.py", True, False),
        ("sources/slake.py", True, False),
        ("tables/csv_files.py", True, False),
        ("record.py", True, False),
        ("measure/images.py", True, True),
        ("read/dicom.py", True, True),
        ("copies/fingerprints.py", True, True),
        ("copies/panels.py", True, True),
        ("copies/judgement.py", False, True),
    ],
)
def test_only_what_decides_a_scan_or_a_comparison_makes_it_false(rooms, versions, file, scan_again, compare_again):
    scanned, compared = versions()
    assert versions() == (scanned, compared)
    with (rooms / file).open("a") as text:
        text.write("# a comment\n")
    scanned_now, compared_now = versions()
    assert (scanned_now != scanned, compared_now != compared) == (scan_again, compare_again)


def test_all_that_a_scan_imports_is_among_the_rooms_that_decide_it():
    """A reader is found by its name when it is asked for, so all of them count."""
    seen, rooms = (
        set(),
        ["curate.measure.scan", *(name for name in house.files() if name.startswith("curate.sources."))],
    )
    while rooms:
        seen.add(room := rooms.pop())
        rooms += house.imported(room) - seen
    needed = {house.path(room).removeprefix("curate/") for room in seen if room.startswith("curate.")}
    assert len(needed) > 30
    assert [
        file for file in sorted(needed) if not any(file == room or file.startswith(f"{room}/") for room in CODE)
    ] == []
