"""Nothing leaves the machine that may not, whatever manifest, folders and columns say."""

import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from medmix.curate.evaluationsets import item_keys
from medmix.curate.publish import planner, release
from medmix.curate.publish.gate import check, table_bytes, texts, withheld
from medmix.curate.shards import file_sha256
from medmix.curate.write import manifest

from . import tampering
from .conftest import REPO, one_error

SHARD = "data/slake/train-00000-of-00001.parquet"
CARRYING = "preupload|objects/batch|/lfs/|/commit/|POST|PUT"


def rewrite(mix: Path, name: str, change) -> None:
    """Change the first row of a table, and the manifest so that its digest fits again."""
    rows = pq.read_table(mix / name).to_pylist()
    change(rows[0])
    reseal(mix, name, tampering.written(pa.Table.from_pylist(rows, schema=table_bytes.schema(name)), name))


def reseal(mix: Path, name: str, data: bytes) -> None:
    """Replace a file of a mix, and change the manifest so that its digest fits again."""
    (mix / name).unlink(missing_ok=True)
    (mix / name).write_bytes(data)
    document = json.loads((mix / manifest.NAME).read_text())
    facts = document["files"].setdefault(name, {})
    facts |= {"sha256": file_sha256(mix / name), "bytes": (mix / name).stat().st_size}
    manifest.write(mix, document)


def restricted(mix: Path, source: str) -> dict:
    """Give a restricted record of a source, whole."""
    shard = next((mix / "restricted" / source).glob("train-*.parquet"))
    return pq.read_table(shard).slice(0, 1).to_pylist()[0]


def as_if_free(row: dict, source: dict) -> None:
    """Put another record into a row's place and let it claim to be free."""
    claims = {name: row[name] for name in ("split", "license", "license_verdict", "license_evidence")}
    row.update({**source, **claims})


TAMPERED = {
    "research-only": (lambda row, mix: row.update(license_verdict="research-only"), "is research-only"),
    "credentialed": (lambda row, mix: row.update(license_verdict="credentialed"), "is credentialed"),
    "unclear": (lambda row, mix: row.update(license_verdict="unclear"), "is unclear"),
    "without a verdict": (lambda row, mix: row.update(license_verdict=None), "is without a verdict"),
    "no known verdict": (lambda row, mix: row.update(license_verdict="Redistributable"), "is Redistributable"),
    "a licence that forbids it": (
        lambda row, mix: row.update(license="CC-BY-NC-4.0"),
        "has the licence 'CC-BY-NC-4.0', which does not allow redistribution",
    ),
    "a licence nobody knows": (
        lambda row, mix: row.update(license="LicenseRef-free"),
        "has the licence 'LicenseRef-free', which does not allow redistribution",
    ),
    "an unknown source": (lambda row, mix: row.update(source="wards"), "has the unknown source 'wards'"),
    "a research-only source": (
        lambda row, mix: as_if_free(row, restricted(mix, "iu_xray")),
        "is from iu_xray, whose records are all research-only",
    ),
    "an unclear source": (
        lambda row, mix: as_if_free(row, restricted(mix, "medqa")),
        "is from medqa, whose records are all unclear",
    ),
    "a credentialed source": (
        lambda row, mix: as_if_free(row, restricted(mix, "mimic_cxr")),
        "a record of 'mimic_cxr': is from the credentialed source mimic_cxr",
    ),
    "a credentialed image under another source's name": (
        lambda row, mix: row.update(image_sha256=restricted(mix, "mimic_cxr")["image_sha256"]),
        "has an image of a credentialed record",
    ),
    "a credentialed image's bytes": (
        lambda row, mix: row.update(images=restricted(mix, "mimic_cxr")["images"]),
        "has the image bytes of a credentialed record",
    ),
    "a patient's id in a text": (
        lambda row, mix: row.update(answer="As in p10000032."),
        "column answer contains a possible id of MIMIC-CXR",
    ),
    "a study's id in a conversation": (
        lambda row, mix: row["messages"][1]["content"][0].update(text="See s50414267"),
        "column messages contains a possible id of MIMIC-CXR",
    ),
    "a film's id in an image's name": (
        lambda row, mix: row["images"][0].update(path="02aa804e-bde0afdd-112c0b34-7bc16630-4e384014.jpg"),
        "column images contains a possible id of MIMIC-CXR",
    ),
    "an id inside an image file": (
        lambda row, mix: row["images"][0].update(bytes=row["images"][0]["bytes"] + b"\0PatientID=P10000032\0"),
        "column images contains a possible id of MIMIC-CXR",
    ),
    "the number of a study alone": (
        lambda row, mix: row.update(question=f"Like {restricted(mix, 'mimic_cxr')['id'].split('/')[1]}?"),
        "column question contains a possible id of MIMIC-CXR",
    ),
    "our id of a study": (
        lambda row, mix: row.update(attribution="MIMIC_CXR/50414267"),
        "column attribution contains a possible id of MIMIC-CXR",
    ),
}


@pytest.fixture(scope="module")
def checked(prepared: Path, tmp_path_factory):
    """Check a file as one of the release of the prepared mix; gives what is found."""
    known = tmp_path_factory.mktemp("known") / "withheld.npz"
    withheld.save(withheld.gather(prepared, 1), known)
    sizes = texts.sizes_of(manifest.read(prepared))

    def find(name: str, path: Path) -> list[str]:
        report = check.check_file(check.FileTask(name, path, prepared, known, sizes))
        return [*report.findings, *(f"{where}{hit.words} words of {hit.source}" for where, hit in report.hits)]

    return find


@pytest.mark.parametrize("kind", TAMPERED)
def test_a_record_that_may_not_go_is_found(prepared, tmp_path, checked, kind):
    change, finding = TAMPERED[kind]
    rows = pq.read_table(prepared / SHARD).slice(0, 5).to_pylist()
    change(rows[0], prepared)
    write_shard(rows, tmp_path / "shard.parquet")
    found = checked(SHARD, tmp_path / "shard.parquet")
    assert any(finding in line for line in found), found


def write_shard(rows: list[dict], path: Path) -> None:
    """Write a shard as a build does, so that only its rows can be found fault with."""
    path.write_bytes(tampering.written(pa.Table.from_pylist(rows, schema=table_bytes.schema(SHARD)), SHARD))


@pytest.mark.parametrize("kind", ["research-only", "a credentialed source", "a patient's id in a text"])
def test_it_stops_the_push_before_a_byte_is_sent(hub, run, writer, mine, kind):
    change, finding = TAMPERED[kind]
    rewrite(mine, SHARD, lambda row: change(row, mine))
    status, _, err = run("push", mine, "--repo", REPO, "--yes")
    assert status == 1
    line = one_error(err)
    assert line.startswith("nothing was uploaded: ")
    assert f"{SHARD}: " in line
    assert finding in line
    assert not hub.answered(CARRYING)
    assert hub.repositories == {}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda row: row.update(license_verdict=None), "a record has the unknown verdict None"),
        (lambda row: row.update(license_verdict="free"), "a record has the unknown verdict 'free'"),
    ],
)
def test_a_verdict_that_there_is_not_stops_it_too(hub, run, writer, mine, change, line):
    rewrite(mine, SHARD, change)
    status, _, err = run("push", mine, "--repo", REPO, "--yes")
    assert status == 1
    assert line in one_error(err)
    assert not hub.answered(CARRYING)


def test_a_shard_that_is_no_parquet_stops_it(hub, run, writer, mine):
    reseal(mine, SHARD, b"no parquet")
    status, _, err = run("push", mine, "--repo", REPO, "--yes")
    assert status == 1
    assert "damaged (" in one_error(err)
    assert one_error(err).endswith(f"nothing was uploaded; see: medmix check {mine}")
    assert not hub.answered(CARRYING)


def test_a_dry_run_finds_it_too(hub, run, writer, mine):
    rewrite(mine, SHARD, lambda row: row.update(license_verdict="unclear"))
    status, out, err = run("push", mine, "--repo", REPO, "--dry-run", "--json")
    assert status == 1
    found = json.loads(out)["findings"]
    assert {"attribution.parquet: slake/0: is unclear", f"{SHARD}: slake/0: is unclear"} <= set(found)
    assert f"not allowed: {SHARD}: slake/0: is unclear" in err


def test_a_restricted_shard_that_was_moved_is_found(hub, run, writer, mine):
    moved = "data/iu_xray/train-00000-of-00001.parquet"
    (mine / moved).parent.mkdir()
    (mine / "restricted/iu_xray/train-00000-of-00001.parquet").rename(mine / moved)
    document = json.loads((mine / manifest.NAME).read_text())
    document["files"][moved] = document["files"].pop("restricted/iu_xray/train-00000-of-00001.parquet")
    manifest.write(mine, document)
    status, _, err = run("push", mine, "--repo", REPO, "--yes")
    assert status == 1
    assert one_error(err).startswith(
        "nothing was uploaded: records.parquet: has 44 records too few, so what is withheld"
    )
    assert not hub.answered(CARRYING)
    found = json.loads(run("push", mine, "--repo", REPO, "--dry-run", "--json")[1])["findings"]
    assert f"{moved}: iu_xray/1: is research-only" in found
    assert "attribution.parquet: iu_xray/1: is research-only" in found
    assert "attribution.parquet: and 39 more" in found


@pytest.mark.parametrize(
    ("name", "text", "finding"),
    [
        ("README.md", "Patient p10000032 has\n", "line 1 contains a possible id of MIMIC-CXR"),
        ("datasheet.md", "\nfiles/p10/p10000032/x.txt\n", "line 2 contains a possible id"),
        ("croissant.json", '{"name": "S50414267"}', "line 1 contains a possible id of MIMIC-CXR"),
        ("README.md", "a\0b", "is not a text file"),
        ("data/slake/notes.txt", "hello", "is not a file of a published mix"),
        ("restricted/slake/train-00000-of-00001.parquet", "", "is not a file of a published mix"),
        ("data/slake/train-00000-of-00001.parquet", "no parquet", "cannot be read as parquet"),
        ("plots/p10000032.svg", "<svg/>", "its name contains a possible id of MIMIC-CXR"),
    ],
)
def test_texts_and_names_are_looked_through(checked, tmp_path, name, text, finding):
    path = tmp_path / Path(name).name
    path.write_text(text)
    (line,) = checked(name, path)
    assert finding in line


POINTER = "pointers/mimic_cxr.parquet"


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"id": "a"}, "contains id of a credentialed record"),
        ({"row": 3, "file": "t.csv"}, "contains file, row of a credentialed record"),
        ({"image_sha256": ["0" * 64]}, "contains image_sha256 of a credentialed record"),
        ({"keyed_id": None}, "has a credentialed record without a keyed digest"),
        ({"license_verdict": "unclear", "id": "a"}, "contains id of a credentialed record"),
    ],
)
def test_a_pointer_that_tells_of_a_credentialed_record_is_found(mine, checked, change, finding):
    rewrite(mine, POINTER, lambda row: row.update(change))
    assert finding in checked(POINTER, mine / POINTER)


def test_a_pointer_table_with_more_columns_is_found(mine, checked):
    table = pq.read_table(mine / POINTER)
    (mine / POINTER).unlink()
    pq.write_table(table.append_column("text", table["shard"]), mine / POINTER)
    assert checked(POINTER, mine / POINTER) == ["has other columns than a published file of this name"]


CREDITS = "attribution.parquet"


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"license_verdict": "research-only"}, "slake/0: is research-only"),
        ({"license": "CC-BY-NC-4.0"}, "slake/0: has the licence 'CC-BY-NC-4.0', which does not allow redistribution"),
        ({"source": "mimic_cxr"}, "a record of 'mimic_cxr': is from the credentialed source mimic_cxr"),
        ({"credit": "of p10000032"}, "column credit contains a possible id of MIMIC-CXR"),
        ({"url": "https://physionet.org/files/mimic-cxr/p10000032"}, "column url contains a possible id of MIMIC-CXR"),
    ],
)
def test_a_credit_of_a_record_that_may_not_go_is_found(mine, checked, tmp_path, change, finding):
    (folder,) = (mine / planner.WORK).glob("release-*")
    table = pq.read_table(folder / CREDITS)
    first = table.filter(pc.equal(table["id"], "slake/0")).to_pylist()[0]
    assert checked(CREDITS, folder / CREDITS) == []
    changed = pa.Table.from_pylist([first | change], schema=table_bytes.schema(CREDITS))
    (tmp_path / CREDITS).write_bytes(tampering.written(changed, CREDITS))
    assert checked(CREDITS, tmp_path / CREDITS) == [finding]


def test_the_credits_of_the_full_mix_may_not_go(mine, checked):
    assert "iu_xray/1: is research-only" in checked(CREDITS, mine / CREDITS)


def test_what_is_published_credits_the_published_records_and_no_others(mine):
    (folder,) = (mine / planner.WORK).glob("release-*")
    shards = sorted((folder / "data").rglob("*.parquet"))
    public = [id_ for shard in shards for id_ in pq.read_table(shard, columns=["id"])["id"].to_pylist()]
    assert pq.read_table(folder / CREDITS)["id"].to_pylist() == public
    assert len(public) < pq.read_metadata(mine / CREDITS).num_rows
    assert f"the {len(public):,} records" in (folder / "ATTRIBUTION.md").read_text()
    assert "mimic_cxr" not in (folder / "ATTRIBUTION.md").read_text()


def test_a_ledger_with_rows_of_a_credentialed_source_is_found(mine, checked):
    assert "has rows of the credentialed source mimic_cxr" in checked("ledger.parquet", mine / "ledger.parquet")


def test_keys_of_the_items_of_a_credentialed_source_are_found_and_never_released(mine, checked, tmp_path):
    item_keys.write(tmp_path / item_keys.NAME, {"mimic_cxr test": ["0" * 64], "slake test": ["1" * 64]})
    assert checked(item_keys.NAME, tmp_path / item_keys.NAME) == [
        "has keys of mimic_cxr test, a set of a credentialed source"
    ]
    (folder,) = (mine / planner.WORK).glob("release-*")
    assert item_keys.read(folder).keys() == {name for name in item_keys.read(mine) if not name.startswith("mimic_cxr")}


def test_what_is_published_says_nothing_of_a_credentialed_record(mine):
    (folder,) = (mine / planner.WORK).glob("release-*")
    whole = pl.read_parquet(mine / "ledger.parquet")
    hidden = whole.filter(pl.col("source") == "mimic_cxr")["id"].to_list()
    rows = pl.concat([pl.read_parquet(path) for path in (mine / "restricted/mimic_cxr").glob("*.parquet")])
    secrets = {*hidden, *(id_.split("/")[1] for id_ in hidden), *rows["group"], *rows["answer"]}
    secrets |= {digest for digests in rows["image_sha256"] for digest in digests}
    for path in folder.rglob("*"):
        if path.suffix == ".parquet":
            texts = {str(value) for row in pq.read_table(path).drop_columns([]).to_pylist() for value in flat(row)}
            assert not texts & secrets
        elif path.is_file():
            data = path.read_bytes()
            assert not [secret for secret in secrets if len(secret) > 7 and secret.encode() in data]
    published = pl.read_parquet(folder / release.LEDGER)
    assert published.filter(pl.col("source") == "mimic_cxr").height == 0
    assert not published["evidence"].str.contains("mimic_cxr/").any()


def flat(value):
    """Give all values inside a value."""
    if isinstance(value, dict):
        for one in value.values():
            yield from flat(one)
    elif isinstance(value, list):
        for one in value:
            yield from flat(one)
    else:
        yield value


def test_the_ledger_of_what_is_published_hides_ids_and_quotes(mine, tmp_path):
    ledger = pl.DataFrame(
        {
            "id": ["slake/1", "iu_xray/2", "mimic_cxr/50414267", "slake/3"],
            "source": ["slake", "iu_xray", "mimic_cxr", "slake"],
            "split": ["train"] * 4,
            "outcome": ["dropped"] * 4,
            "stage": ["duplicates", "read", "read", "read"],
            "reason": ["duplicate", "unparsable-row", "unparsable-row", "unparsable-row"],
            "evidence": ["like mimic_cxr/50414267 here", "the findings 'No'", "x", "field 'a' is 'b'"],
            "score": [None, None, None, None],
            "transformation": ["like it a copy of an image of mimic_cxr/50414267", "", "", ""],
            "relation": ["copy", "", "", ""],
            "flag": [""] * 4,
        }
    )
    release.write_ledger(tmp_path / "ledger.parquet", ledger, manifest.read(mine))
    written = pl.read_parquet(tmp_path / "ledger.parquet")
    assert written.select("id", "evidence", "transformation").rows() == [
        ("slake/1", "like mimic_cxr here", "like it a copy of an image of mimic_cxr"),
        ("iu_xray/2", "", ""),
        ("slake/3", "field 'a' is 'b'", ""),
    ]


@pytest.mark.parametrize(
    "name", [SHARD, "ledger.parquet", "records.parquet", "pointers/mimic_cxr.parquet", "evaluation.parquet"]
)
def test_a_file_that_changed_after_the_build_stops_the_push_before_anything_is_sent(hub, run, writer, mine, name):
    sealed = (mine / manifest.NAME).read_bytes()
    rewrite(mine, name, lambda row: None)
    table = pq.read_table(mine / name)
    pq.write_table(table, mine / name, compression="gzip")
    (mine / manifest.NAME).write_bytes(sealed)
    status, _, err = run("push", mine, "--repo", REPO, "--yes")
    assert status == 1
    assert one_error(err) == f"{mine / name}: its bytes differ from those that the build wrote; build the mix again"
    assert not hub.answered(REPO)
    assert name == SHARD or hub.log == []


def test_a_shard_that_is_missing_stops_the_push_before_anything_is_sent(hub, run, writer, mine):
    (mine / SHARD).unlink()
    status, _, err = run("push", mine, "--repo", REPO, "--yes")
    assert status == 1
    assert one_error(err) == f"{mine / SHARD}: is missing, nothing was uploaded; build the mix again"
    assert not hub.answered(REPO)
