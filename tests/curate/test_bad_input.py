"""Unusable input: a line with file, place and remedy, or a row of the ledger; and never half a mix."""

import json
import shutil
import struct
import zlib
from pathlib import Path

import polars as pl
import pytest

from medmix.curate import mixtures
from medmix.curate.build import BuildOptions, build
from medmix.curate.errors import InputError
from medmix.curate.write import manifest

V1 = mixtures.load("v1")


@pytest.fixture
def sources(root, tmp_path) -> Path:
    """Upstream folders of one's own to break."""
    for source in ("slake", "iu_xray", "medqa"):
        shutil.copytree(root / source, tmp_path / "sources" / source)
    return tmp_path / "sources"


def fails(sources: Path, source: str) -> str:
    """Build one source, which must fail on its input; give the line without the folder."""
    out = sources.parent / "mix"
    with pytest.raises(InputError) as caught:
        build(V1, sources, out, BuildOptions(only=(source,)))
    assert not (out / manifest.NAME).exists()
    assert not list(out.rglob("*.tmp"))
    return str(caught.value).removeprefix(f"{sources}/")


def test_a_json_cut_in_half(sources):
    path = sources / "slake" / "Slake1.0" / "test.json"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    line = fails(sources, "slake")
    assert line.startswith("slake/Slake1.0/test.json: is not JSON at line ")
    assert line.endswith("; get the file again from upstream")


def test_a_folder_in_place_of_a_file(sources):
    path = sources / "slake" / "Slake1.0" / "test.json"
    path.unlink()
    path.mkdir()
    assert (
        fails(sources, "slake")
        == "slake/Slake1.0/test.json: is a folder, expected a file; get the file again from upstream"
    )


def test_a_csv_with_a_missing_column(sources):
    path = sources / "iu_xray" / "indiana_projections.csv"
    path.write_text(path.read_text().replace("filename", "name", 1))
    assert (
        fails(sources, "iu_xray")
        == "iu_xray/indiana_projections.csv: lacks the columns filename; it has uid, name, projection; "
        "get the file again from upstream"
    )


def test_one_bad_line_is_a_row_of_the_ledger(sources):
    (path,) = (sources / "medqa").rglob("*train.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b'{"question": "cut\n', *lines[2:]]))
    out = sources.parent / "mix"
    document = build(V1, sources, out, BuildOptions(only=("medqa",)))
    assert document["sources"]["medqa"]["dropped_by_reason"]["unparsable-row"] == 1
    row = pl.read_parquet(out / "ledger.parquet").row(by_predicate=pl.col("reason") == "unparsable-row", named=True)
    assert row["id"] == "medqa/train/1"
    assert row["evidence"].startswith("not JSON")


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT"]
    framed = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "missing-image"),
        (b"", "unreadable-image"),
        (b"<html>not found</html>", "unreadable-image"),
        (png_header(60_000, 60_000), "too-many-pixels"),
    ],
    ids=["missing", "empty", "an error page", "60000x60000"],
)
def test_one_bad_image_drops_its_records_and_no_others(sources, content, reason):
    rows = json.loads((sources / "slake" / "Slake1.0" / "train.json").read_text(encoding="utf-8"))
    name = rows[-1]["img_name"]
    (path,) = (path for path in (sources / "slake").rglob("source.jpg") if path.as_posix().endswith(name))
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    out = sources.parent / "mix"
    build(V1, sources, out, BuildOptions(only=("slake",)))
    ledger = pl.read_parquet(out / "ledger.parquet").filter(pl.col("evidence").str.contains(name, literal=True))
    assert set(ledger["reason"]) == {reason}
    assert ledger.height == sum(
        row["img_name"] == name
        for file in ("train", "validate", "test")
        for row in json.loads((sources / "slake" / "Slake1.0" / f"{file}.json").read_text(encoding="utf-8"))
    )


def test_an_image_name_that_climbs_out_is_never_opened(sources):
    path = sources / "slake" / "Slake1.0" / "train.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    secret = sources / "secret.jpg"
    secret.write_bytes((sources / "slake" / "Slake1.0" / "imgs" / rows[-1]["img_name"]).read_bytes())
    rows[-1]["img_name"] = "../../../secret.jpg"
    path.write_text(json.dumps(rows), encoding="utf-8")
    out = sources.parent / "mix"
    build(V1, sources, out, BuildOptions(only=("slake",)))
    row = pl.read_parquet(out / "ledger.parquet").row(by_predicate=pl.col("reason") == "unsafe-path", named=True)
    assert row["id"] == f"slake/{rows[-1]['qid']}"
