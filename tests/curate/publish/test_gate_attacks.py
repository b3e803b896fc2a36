"""Hundreds of ways to send what must not go, each with a manifest that fits: none gets through."""

import io
import itertools
import json
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from medmix.curate.publish import plan, planner, release
from medmix.curate.publish.gate import check, whole, withheld
from medmix.curate.publish.hub import LocalFile
from medmix.curate.shards import file_sha256
from medmix.curate.write import manifest

from . import tampering
from .conftest import REPO, one_error
from .test_gate import CARRYING, reseal

WAYS = {
    way.__name__: way
    for way in (
        *(tampering.cells, tampering.numbers, tampering.images, tampering.records, tampering.metadata),
        *(tampering.hidden, tampering.pages, tampering.foreign, tampering.sheets),
        *(tampering.unlike, tampering.disguises),
    )
}


COUNTS = {
    **{
        "cells": 265,
        "numbers": 6,
        "images": 122,
        "records": 64,
        "metadata": 90,
        "hidden": 72,
        "pages": 77,
        "foreign": 17,
        "sheets": 60,
        "unlike": 10,
        "disguises": 25,
    }
}
"""How many files each way tampers with."""


@pytest.fixture(scope="module")
def prepared(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mix of this module's own: the check writes in the folder of the release, where others may be copying."""
    return Path(shutil.copytree(prepared, tmp_path_factory.mktemp("attacked") / "mix"))


@pytest.fixture(scope="module")
def prepared_release(prepared: Path) -> release.Release:
    (folder,) = (prepared / planner.WORK).glob("release-*")
    return release.Release(folder, manifest.read(folder))


@pytest.fixture(scope="module")
def of(prepared: Path, prepared_release) -> tampering.Material:
    return tampering.material(prepared, prepared_release.folder)


@pytest.fixture
def refusals(prepared, prepared_release, tmp_path, monkeypatch):
    """Check a tampered file as `push` does; what is equal for all of them is made once."""
    known = withheld.gather(prepared, 1)
    monkeypatch.setattr(withheld, "gather", lambda mix, workers: known)
    monkeypatch.setattr(whole, "findings", lambda mix: ())
    monkeypatch.setattr(whole, "unlike_tables", lambda mix, workers: ())

    @contextmanager
    def written_again(prepared, mix, work):
        yield prepared_release

    monkeypatch.setattr(release, "written_again", written_again)
    numbers = itertools.count()

    def find(name: str, data: bytes) -> list[str]:
        path = tmp_path / f"{next(numbers)}{Path(name).suffix}"
        path.write_bytes(data)
        return check.check(prepared_release, {name: LocalFile(path, len(data), file_sha256(path))}, prepared)

    return find


def test_a_clean_release_passes(prepared, prepared_release):
    assert check.check(prepared_release, plan.local_files(prepared_release), prepared) == []


AS_WRITTEN = "is not what the mix gives now"
BYTES = "holds other bytes than its rows give"
MESSAGES = "other messages than"

DOES_NOT_COUNT = {
    **dict.fromkeys(
        ("cells", "disguises", "numbers", "images", "records", "metadata", "sheets"), (AS_WRITTEN, BYTES, MESSAGES)
    ),
    "hidden": (AS_WRITTEN,),
}
"""Findings that a way does not need: of what the mix itself holds, each finds the fault in the row, or in the bytes."""


@pytest.mark.parametrize("way", WAYS)
def test_every_tampered_file_is_refused(of, refusals, way):
    passed, labels = [], []
    for one in WAYS[way](of):
        lines = refusals(one.name, one.data)
        findings = [line for line in lines if not any(words in line for words in DOES_NOT_COUNT.get(way, ()))]
        labels.append((one.label, one.name))
        passed += [] if findings else labels[-1:]
    assert passed == []
    assert len(labels) == len(set(labels)) == COUNTS[way]


def test_another_picture_in_place_of_the_sheet_is_refused(of, refusals):
    data = (of.release / tampering.SHEET).read_bytes()
    assert refusals(tampering.SHEET, data) == []
    changed = Image.open(io.BytesIO(data)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    findings = refusals(tampering.SHEET, tampering.coded(changed, "JPEG"))
    assert findings == [f"{tampering.SHEET}: is not what the mix gives now; push again"]


@pytest.mark.parametrize("folder", ["restricted", "restricted/mimic_cxr", "pointers"])
def test_a_mix_without_what_is_withheld_is_refused(mine, prepared_release, folder):
    shutil.rmtree(mine / folder)
    assert any("what is withheld is not known" in line for line in check.check(prepared_release, {}, mine))


@pytest.mark.parametrize("name", ["ledger.parquet", "records.parquet"])
def test_a_table_without_its_records_is_refused(mine, prepared_release, name):
    rows = tampering.pq.read_table(mine / name).slice(1)
    (mine / name).write_bytes(tampering.written(rows, name))
    assert any(line.startswith(f"{name}: has 1 records too few") for line in check.check(prepared_release, {}, mine))


def test_a_record_more_than_once_is_refused(mine, prepared_release):
    rows = tampering.pq.read_table(mine / "records.parquet")
    twice = tampering.pa.concat_tables([rows, rows.slice(0, 1)])
    (mine / "records.parquet").write_bytes(tampering.written(twice, "records.parquet"))
    findings = check.check(prepared_release, {}, mine)
    assert "records.parquet: has records more than once; build the mix again" in findings


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("restricted/mimic_cxr/train-00000-of-00001.parquet", ("answer",)),
        ("restricted/iu_xray/train-00000-of-00001.parquet", ("image_sha256",)),
        (tampering.SHARD, ("question",)),
    ],
)
def test_a_record_that_is_not_what_its_digests_say_is_refused(mine, prepared_release, name, path):
    rows = tampering.pq.read_table(mine / name).to_pylist()
    tampering.setter(*path)("0" * 64)(rows[0])
    table = tampering.pa.Table.from_pylist(rows, schema=tampering.table_bytes.schema(tampering.SHARD))
    (mine / name).unlink()
    (mine / name).write_bytes(tampering.written(table, tampering.SHARD))
    findings = check.check(prepared_release, {}, mine)
    assert f"{name}: 1 of its records differ from their digests in the mix; build the mix again" in findings


def test_there_are_enough_ways():
    assert sum(COUNTS.values()) >= 600


PUSHED = {
    "a report in a question": (tampering.SHARD, ("question",), "a report"),
    "a report in the evidence of a dropped row": ("ledger.parquet", ("evidence",), "a report"),
    "a piece of a report in the evidence": ("ledger.parquet", ("evidence",), "a piece of a report"),
    "a patient's number in a transformation": ("ledger.parquet", ("transformation",), "the number of a patient"),
    "a report in a pointer": (tampering.OPEN_POINTERS, ("file",), "a report of IU X-Ray"),
    "a study's number in a text": (tampering.TEXTS, ("question",), "the number of a study"),
}


@pytest.mark.parametrize("kind", PUSHED)
def test_no_byte_of_it_leaves(hub, run, writer, mine, of, kind):
    name, path, secret = PUSHED[kind]
    rows = tampering.pq.read_table(mine / name).to_pylist()
    public = next(row for row in rows if row.get("source") not in ("mimic_cxr",))
    tampering.setter(*path)(tampering.secrets(of)[secret])(public)
    table = tampering.pa.Table.from_pylist(rows, schema=tampering.table_bytes.schema(name))
    reseal(mine, name, tampering.written(table, name))
    assert_nothing_left(hub, run, mine)


def assert_nothing_left(hub, run, mix: Path) -> str:
    shutil.rmtree(mix / planner.WORK)
    status, _, err = run("push", mix, "--repo", REPO, "--yes")
    assert status == 1
    assert one_error(err).startswith("nothing was uploaded: ")
    assert sum(request.received for request in hub.log) == 0
    assert not hub.answered(CARRYING)
    assert hub.repositories == {}
    return one_error(err)


PLACES = (
    ("mixture", "description"),
    ("notes", 0),
    ("warnings", 0),
    ("sources", "slake", "facts", "attribution"),
    ("sources", "slake", "facts", "title"),
    ("evaluation", 0, "name"),
)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_a_report_in_the_manifest_is_found_on_the_pages(hub, run, writer, mine, of, place):
    document = json.loads((mine / manifest.NAME).read_text())
    spot = document
    for step in place[:-1]:
        spot = spot[step]
    if isinstance(spot, list):
        spot[:0] = [spot[0] if spot else ""]
    spot[place[-1]] = tampering.secrets(of)["a report"]
    manifest.write(mine, document)
    assert re.search(r"words in a row of a report of mimic_cxr", assert_nothing_left(hub, run, mine))


def test_a_page_of_an_earlier_run_that_was_changed_is_not_sent(hub, run, writer, mine):
    (folder,) = (mine / planner.WORK).glob("release-*")
    (folder / "README.md").write_bytes((folder / "README.md").read_bytes() + b"\nmore\n")
    document = manifest.read(folder)
    document["files"]["README.md"] |= manifest.file_facts(folder, ["README.md"])["README.md"]
    manifest.write(folder, document)
    findings = check.check(release.Release(folder, document), plan.local_files(release.Release(folder, document)), mine)
    assert "README.md: is not what the mix gives now; push again" in findings
