"""Whatever is changed in a finished mix is found and named."""

import json
import shutil
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medmix.curate import check as checking
from medmix.curate import hashed_parquet
from medmix.curate.check import check, verify
from medmix.curate.errors import UsageError
from medmix.curate.shards import file_sha256
from medmix.curate.write import manifest
from medmix.curate.write.features import mix_schema

NO_EVIDENCE = {"declared": "cc-by-4.0", "upstream": "CC BY 4.0", "evidence": "", "read": "2026-11-23"}

SHARD = "data/slake/train-00000-of-00001.parquet"


@pytest.fixture
def copy(mix_of_every_kind, tmp_path) -> Path:
    """A mix of one's own to break."""
    shutil.copytree(mix_of_every_kind, tmp_path / "mix", ignore=shutil.ignore_patterns(".work"))
    return tmp_path / "mix"


def rewrite(mix: Path, shard: str, change) -> None:
    """Change the first row of a shard, and the manifest so that its digest fits again."""
    table = pq.read_table(mix / shard)
    rows = table.to_pylist()
    change(rows[0])
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), mix / shard)
    document = json.loads((mix / manifest.NAME).read_text())
    document["files"][shard]["sha256"] = file_sha256(mix / shard)
    manifest.write(mix, document)


KINDS = [
    SHARD,
    "restricted/medqa/train-00000-of-00001.parquet",
    "pointers/medqa.parquet",
    "ledger.parquet",
    "evaluation.parquet",
    "records.parquet",
    "attribution.parquet",
    "README.md",
    "LICENSE.md",
    "ATTRIBUTION.md",
    "CITATION.bib",
    "croissant.json",
    "datasheet.md",
    "datasheets/medqa.md",
    "plots/sources.svg",
    "plots/examples.jpg",
    "report/index.html",
]


def test_every_kind_of_file_is_among_those_changed_here(copy):
    kinds = {path.relative_to(copy).parts[0] for path in copy.rglob("*") if path.is_file()}
    assert kinds == {file.split("/")[0] for file in KINDS} | {manifest.NAME}


@pytest.mark.parametrize("file", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_one_changed_byte_is_found(copy, file, share):
    data = bytearray((copy / file).read_bytes())
    data[int((len(data) - 1) * share)] ^= 1
    (copy / file).write_bytes(data)
    assert f"{file}: its bytes are not those that the build wrote" in check(copy)


def test_one_changed_byte_of_the_manifest_is_found(copy):
    path = copy / manifest.NAME
    good = path.read_bytes()
    for place in range(0, len(good), len(good) // 500):
        data = bytearray(good)
        data[place] ^= 1
        path.write_bytes(data)
        try:
            findings = check(copy)
        except UsageError as error:  # no longer JSON, or of another format
            assert str(path) in str(error)
        else:
            assert findings == [manifest.MODIFIED]


def test_the_manifest_is_unmodified_only_as_it_was_written(copy):
    path = copy / manifest.NAME
    assert manifest.is_unmodified(copy)
    good = path.read_text()
    path.write_text(good.replace('"decide": ', '"decide": 1'))
    assert not manifest.is_unmodified(copy)
    path.write_text(good + " ")
    assert not manifest.is_unmodified(copy)


def test_a_file_that_is_gone_or_new_is_found(copy):
    (copy / "CITATION.bib").unlink()
    shutil.copy(copy / SHARD, copy / "data/slake/extra.parquet")
    assert check(copy) == [
        "CITATION.bib: is missing",
        "data/slake/extra.parquet: is not in the manifest",
    ]


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"license": ""}, "has licence '' with verdict 'redistributable'"),
        ({"license_verdict": "unclear"}, "is unclear, but stored in data/"),
        ({"license": "CC-BY-NC-4.0"}, "is redistributable, but CC-BY-NC-4.0 is research-only"),
        ({"license": "CC-BY-ND-4.0"}, "is redistributable, but CC-BY-ND-4.0 is research-only"),
        ({"license": "LicenseRef-free"}, "has licence 'LicenseRef-free' with verdict 'redistributable'"),
        ({"license_evidence": NO_EVIDENCE}, "does not say where and when its licence"),
        ({"license_verdict": "fine"}, " with verdict 'fine'"),
        ({"source": "roco"}, "is of roco train, but stored in slake/train-00000-of-00001.parquet"),
        ({"split": "test"}, "is of slake test, but stored in slake/train-00000-of-00001.parquet"),
        ({"task": "guess"}, "has the unknown task 'guess'"),
        ({"image_sha256": ["0" * 64]}, "its image bytes do not match their digests"),
        ({"images": []}, "its messages do not match its images"),
        ({"answer": ""}, "has no answer"),
        ({"group": None, "messages": None}, "has no messages, group"),
    ],
)
def test_a_wrong_record_is_found_even_when_its_digest_fits(copy, change, finding):
    rewrite(copy, SHARD, lambda row: row.update(change))
    first = pq.read_table(copy / SHARD, columns=["id"])["id"][0].as_py()
    mine = [line for line in check(copy) if line.startswith(f"{SHARD}: {first}: ")]
    assert any(finding in line for line in mine)


def break_in_many_places(mix: Path) -> None:
    """Repeat ids and groups in one shard and between shards, spoil records, files and the ledger."""
    shards = [shard for shard in manifest.shards_of(manifest.read(mix)) if "/slake/" in shard or "/medqa/" in shard]
    rows = {shard: pq.read_table(mix / shard).to_pylist() for shard in shards}
    first, *others = shards
    for shard in others:
        rows[shard][0]["id"] = rows[first][2]["id"]
        rows[shard][-1]["group"] = rows[first][1]["group"]
    rows[first][1]["answer"] = ""
    rows[first][3]["task"] = "guess"
    rows[first].append({**rows[first][0], "split": "train"})
    for row in max(rows.values(), key=len)[:30]:
        row["license"] = ""
    document = json.loads((mix / manifest.NAME).read_text())
    for shard in shards:
        pq.write_table(pa.Table.from_pylist(rows[shard], schema=mix_schema()), mix / shard)
        if shard != others[0]:
            document["files"][shard] |= {"sha256": file_sha256(mix / shard), "rows": len(rows[shard])}
    (mix / next(shard for shard in manifest.shards_of(document) if "/roco/" in shard)).write_text("no parquet")
    manifest.write(mix, document)


def test_findings_and_their_order_are_the_same_for_any_number_of_workers(copy):
    break_in_many_places(copy)
    alone = verify(copy, 1)
    kinds = ("occurs twice", "is also in", "no answer", "and ", "cannot be read", "bytes are not those", "unknown task")
    assert all(any(kind in finding for finding in alone.findings) for kind in kinds)
    assert verify(copy, 2) == alone


def test_findings_on_a_shard_are_in_the_order_of_its_records(copy):
    break_in_many_places(copy)
    shard = next(shard for shard in manifest.shards_of(manifest.read(copy)) if "/slake/" in shard)
    rows = pq.read_table(copy / shard, columns=["id", "group", "split"]).to_pylist()
    name = shard.split("/")[-1]
    assert [finding for finding in check(copy) if finding.startswith(f"{shard}: ")] == [
        f"{shard}: {rows[1]['id']}: has no answer",
        f"{shard}: {rows[3]['id']}: has the unknown task 'guess'",
        f"{shard}: {rows[0]['id']}: is of slake train, but stored in slake/{name}",
        f"{shard}: {rows[0]['id']}: its group {rows[0]['group']} is also in {rows[0]['split']}",
        f"{shard}: {rows[0]['id']}: occurs twice in the mix",
    ]


def test_after_twenty_findings_on_a_shard_the_others_are_counted(copy):
    break_in_many_places(copy)
    shards = [shard for shard in manifest.shards_of(manifest.read(copy)) if "/slake/" in shard or "/medqa/" in shard]
    shard = max(shards, key=lambda shard: pq.read_metadata(copy / shard).num_rows)
    found = [finding for finding in check(copy) if finding.startswith(f"{shard}: ") and "bytes are" not in finding]
    assert pq.read_table(copy / shard, columns=["license"])["license"].to_pylist().count("") == 30
    assert len(found) == 21
    assert found[-1] == f"{shard}: and 12 more"  # 30, and the repeated id and group


@pytest.mark.parametrize("name", ["records.parquet", "attribution.parquet"])
@pytest.mark.parametrize("change", [lambda rows: rows[:-1], lambda rows: [{**rows[0], "license": "x"}, *rows[1:]]])
def test_tables_that_do_not_fit_the_shards_are_found(copy, name, change):
    table = pq.read_table(copy / name)
    pq.write_table(pa.Table.from_pylist(change(table.to_pylist()), schema=table.schema), copy / name)
    document = json.loads((copy / manifest.NAME).read_text())
    document["files"] |= manifest.file_facts(copy, [name])
    manifest.write(copy, document)
    assert check(copy) == [f"{name}: differs from what manifest and shards give; build the mix again"]


def test_each_shard_is_read_once(copy, monkeypatch):
    read, pread = [0], hashed_parquet.os.pread

    def counted(*arguments):
        data = pread(*arguments)
        read[0] += len(data)
        return data

    monkeypatch.setattr(hashed_parquet.os, "pread", counted)
    monkeypatch.setattr(
        checking, "file_sha256", lambda path: pytest.fail(path) if "/slake/" in str(path) else file_sha256(path)
    )
    assert check(copy) == []
    shards = [copy / shard for shard in manifest.shards_of(manifest.read(copy))]
    footers = sum(pq.read_metadata(shard).serialized_size for shard in shards)
    assert read[0] <= sum(shard.stat().st_size for shard in shards) + 8 * footers


def test_a_group_in_two_splits_is_found(copy):
    test = "data/slake/test-00000-of-00001.parquet"
    group = pq.read_table(copy / test, columns=["group"])["group"][0].as_py()
    rewrite(copy, SHARD, lambda row: row.update(group=group))
    assert any(f"its group {group} is also in test" in finding for finding in check(copy))


def test_a_record_that_the_ledger_does_not_keep_is_found(copy):
    rewrite(copy, SHARD, lambda row: row.update(id="slake/new"))
    findings = check(copy)
    assert "ledger.parquet: slake/new is in the mix for train, but not kept for it in the ledger" in findings
    assert any(finding.endswith(" is kept for train in the ledger, but not in the mix") for finding in findings)


def test_wrong_sums_are_found(copy):
    path = copy / "ledger.parquet"
    ledger = pl.read_parquet(path)
    ledger[1:].write_parquet(path)
    assert any("read is" in finding for finding in check(copy))


def test_a_ledger_that_contradicts_itself_is_found(copy):
    path = copy / "ledger.parquet"
    pl.read_parquet(path).with_columns(outcome=pl.lit("lost")).write_parquet(path)
    assert any("is neither kept nor dropped" in finding for finding in check(copy))


def test_a_shard_that_is_no_parquet_is_found(copy):
    (copy / SHARD).write_text("no parquet")
    assert any(finding.startswith(f"{SHARD}: cannot be read as parquet") for finding in check(copy))


def test_a_folder_that_is_no_mix_is_met_with_the_next_command(tmp_path):
    with pytest.raises(UsageError, match=r"is not a finished mix .* medmix build --out"):
        check(tmp_path)
    (tmp_path / manifest.NAME).write_text('{"format": 1')
    with pytest.raises(UsageError, match="cannot be read"):
        check(tmp_path)
    (tmp_path / manifest.NAME).write_text('{"format": 99}')
    with pytest.raises(UsageError, match=r"has format 99, this medmix reads only format 4; build the mix again"):
        check(tmp_path)
