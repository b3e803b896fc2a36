"""What differs between two mixes, and which version that asks for."""

import json
import shutil
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medmix.curate import mixtures
from medmix.curate.build import BuildOptions, build
from medmix.curate.publish import diff, planner, record_digests, release, versions
from medmix.curate.publish.diff import compare
from medmix.curate.write import ledger, manifest, record_facts
from medmix.curate.write.features import mix_schema

from .conftest import REPO, SOURCES, one_error
from .tampering import written

SHARD = "data/slake/train-00000-of-00001.parquet"


def with_rows(mix: Path, shard: str, change) -> None:
    """Put other rows into a shard and into the table of digests; the manifest is left as it is."""
    rows = change(pq.read_table(mix / shard).to_pylist())
    (mix / shard).unlink()
    (mix / shard).write_bytes(written(pa.Table.from_pylist(rows, schema=mix_schema()), shard))
    shards = manifest.shards_of(manifest.read(mix))
    record_digests.write(mix, (record_facts.measure_file(mix / path)[0] for path in shards if path.startswith("data/")))


def forget(mix: Path) -> None:
    """Take the records that no shard has out of the ledger, and put those into it that it lacks."""
    shards = [mix / shard for shard in manifest.shards_of(manifest.read(mix))]
    kept = pl.concat([pl.read_parquet(shard, columns=["id", "source", "split"]) for shard in shards])
    rows = pl.read_parquet(mix / release.LEDGER)
    known = rows.filter((pl.col("outcome") != "kept") | pl.col("id").is_in(kept["id"].implode()))
    blank = {name: pl.lit("") for name in rows.columns if name not in ("id", "source", "split", "score", "outcome")}
    added = kept.join(rows, on="id", how="anti").with_columns(
        **blank, outcome=pl.lit("kept"), score=pl.lit(None, pl.Float64)
    )
    ledger.write(mix / release.LEDGER, pl.concat([known, added.select(rows.columns)]))


def first(change):
    """Change the first row."""

    def changed(rows):
        change(rows[0])
        return rows

    return changed


def test_a_mix_does_not_differ_from_itself_nor_from_what_is_published_of_it(prepared):
    (published,) = (prepared / planner.WORK).glob("release-*")
    for other in (prepared, published):
        found = compare(prepared, other)
        assert found.records.is_empty()
        assert (found.same, found.level) == (548, "patch")


@pytest.mark.parametrize(
    ("change", "reason", "level"),
    [
        ({"answer": "other"}, "text", "major"),
        ({"question": "other?", "language": "zh"}, "text, labels", "major"),
        ({"image_sha256": ["0" * 64]}, "images", "major"),
        ({"license": "CC0-1.0"}, "licence", "major"),
        ({"split": "test"}, "split train -> test", "major"),
        ({"group": "slake/other"}, "labels", "major"),
        ({"attribution": "Others"}, "provenance", "patch"),
    ],
)
def test_a_changed_record_is_named_with_what_differs(mine, prepared, change, reason, level):
    with_rows(mine, SHARD, first(lambda row: row.update(change)))
    found = compare(prepared, mine)
    assert found.records.rows() == [("slake", "slake/0", "changed", reason)]
    assert found.level == level


def test_added_and_removed_records_come_with_the_ledgers_reason(mine, prepared):
    with_rows(mine, SHARD, lambda rows: rows[2:])
    ledger = pl.read_parquet(mine / "ledger.parquet")
    dropped = pl.col("id") == "slake/0"
    ledger = ledger.with_columns(
        outcome=pl.when(dropped).then(pl.lit("dropped")).otherwise("outcome"),
        reason=pl.when(dropped).then(pl.lit("duplicate")).otherwise("reason"),
        evidence=pl.when(dropped).then(pl.lit("slake/9")).otherwise("evidence"),
    ).filter(pl.col("id") != "slake/1")
    (mine / "ledger.parquet").unlink()
    ledger.write_parquet(mine / "ledger.parquet")
    removed = compare(prepared, mine)
    assert removed.records.rows() == [
        ("slake", "slake/0", "removed", "is dropped as duplicate: slake/9"),
        ("slake", "slake/1", "removed", "is not read"),
    ]
    assert removed.level == "major"
    added = compare(mine, prepared)
    assert added.records.rows() == [
        ("slake", "slake/0", "added", "was dropped as duplicate: slake/9"),
        ("slake", "slake/1", "added", "was not read"),
    ]
    assert added.level == "minor"
    assert added.counts() == [
        {"source": "slake", "change": "added", "reason": "was dropped as duplicate", "records": 1},
        {"source": "slake", "change": "added", "reason": "was not read", "records": 1},
    ]


def test_the_difference_does_not_depend_on_the_parts_that_are_compared_at_once(mine, prepared, monkeypatch):
    with_rows(mine, SHARD, lambda rows: [{**rows[0], "answer": "other"}, {**rows[1], "id": "slake/new"}, *rows[3:]])
    whole = compare(prepared, mine)
    monkeypatch.setattr(diff, "PART_RECORDS", 7)
    parts = compare(prepared, mine)
    assert parts.records.equals(whole.records)
    assert parts.records["change"].to_list() == ["added", "changed", "removed", "removed"]
    assert parts.same == whole.same == 545


def test_withheld_records_are_compared_by_their_pointers_and_credentialed_ones_stay_unnamed(root, prepared, tmp_path):
    options = BuildOptions(only=tuple(source for source in SOURCES if source != "mimic_cxr"))
    build(mixtures.load("sample"), root, tmp_path / "less", options)
    found = compare(prepared, tmp_path / "less")
    assert set(found.records["source"]) == {"mimic_cxr"}
    assert found.records.height == 40
    assert set(found.records["reason"]) == {"source is not in the mix"}
    assert found.records["id"].str.contains(r"^mimic_cxr/#[0-9a-f]{64}$").all()


def test_the_command_compares_folders_and_tags(hub, run, writer, mine, prepared):
    assert run("push", mine, "--repo", REPO, "--yes")[0] == 0
    with_rows(mine, SHARD, first(lambda row: row.update(answer="other")))
    status, out, _ = run("diff", f"{REPO}@v1.0.0", mine)
    assert status == 0
    assert out.splitlines() == [
        "sample 1.0.0 -> sample 1.0.0: 0 added, 0 removed, 1 changed, 547 unchanged: major",
        "",
        "source  change   records  reason",
        "slake   changed  1        text",
        "",
        "changed slake/0: text",
    ]
    asked = {request.line.split("/")[-1] for request in hub.answered("GET .*/resolve/.*/data/")}
    assert asked == set()
    status, out, _ = run("diff", prepared, mine, "--json")
    document = json.loads(out)
    assert (document["level"], document["changed"]) == ("major", 1)
    assert document["records"] == [{"source": "slake", "id": "slake/0", "change": "changed", "reason": "text"}]


@pytest.mark.parametrize(
    ("name", "status", "line"),
    [
        ("nowhere", 2, "nowhere: neither a folder nor the OWNER/NAME@TAG of a dataset on the Hub"),
        (REPO, 2, f"{REPO}: add the version, for example {REPO}@v1.0.0"),
        (f"{REPO}@v1.0.0", 1, f"{REPO} does not exist or is not open to you: see "),
    ],
)
def test_what_cannot_be_compared(hub, run, mine, name, status, line):
    found = run("diff", mine, name)
    assert found[0] == status
    assert one_error(found[2]).startswith(line)


def test_versions_of_a_dataset(hub, run, writer, mine):
    def pushed(version: str, change=None) -> tuple[int, str]:
        document = manifest.read(mine)
        document["mixture"]["version"] = version
        if change:
            with_rows(mine, SHARD, change)
            forget(mine)
            document["files"] |= manifest.file_facts(mine, [SHARD, record_digests.NAME, release.LEDGER])
        manifest.write(mine, document)
        status, _, err = run("push", mine, "--repo", REPO, "--yes")
        return status, err

    assert pushed("1.0.0")[0] == 0
    status, err = pushed("1.0.1", lambda rows: rows[1:])
    assert status == 1
    assert one_error(err) == (
        f"{REPO}: version 1.0.1 is too low after 1.0.0: records were removed or changed, so it must be at least 2.0.0; "
        "raise `version` in the mixture and build it again"
    )
    assert pushed("2.0.0")[0] == 0
    status, err = pushed("1.5.0")
    assert status == 1
    assert one_error(err) == f"{REPO}: v2.0.0 is published, and a lower version must not follow it"
    assert pushed("2.0.1")[0] == 0
    published = hub.content(REPO, "v2.0.1")
    in_short = published["README.md"].decode().split("## Changes")[1].split("## Terms")[0]
    assert [line for line in in_short.splitlines() if line] == [
        "- **2.0.1**, compared with 2.0.0: 0 records added, 0 removed, 0 changed",
        "- **2.0.0**, compared with 1.0.0: 0 records added, 1 removed, 0 changed",
        "- **1.0.0**: first published version",
        "`datasheet.md` has these changes by source.",
    ]
    changes = published["datasheet.md"].decode().split("new version of the mixture.")[1].split("###")[0]
    assert [line for line in changes.splitlines() if line] == [
        "**2.0.1**, compared with 2.0.0: 0 records added, 0 removed, 0 changed",
        "**2.0.0**, compared with 1.0.0: 0 records added, 1 removed, 0 changed",
        "| source | change | records | details |",
        "| --- | --- | ---: | --- |",
        "| `slake` | removed | 1 | is not read |",
        "**1.0.0**: first published version",
    ]
    assert hub.repositories[REPO].tags.keys() == {"v1.0.0", "v2.0.0", "v2.0.1"}
    assert "data/slake/train-00000-of-00001.parquet" in hub.content(REPO, "v1.0.0")


def test_another_mixture_is_not_pushed_over_one(hub, run, writer, mine):
    assert run("push", mine, "--repo", REPO, "--yes")[0] == 0
    document = manifest.read(mine)
    document["mixture"] |= {"version": "2.0.0", "name": "other"}
    manifest.write(mine, document)
    status, _, err = run("push", mine, "--repo", REPO, "--yes")
    assert status == 1
    assert one_error(err) == f"{REPO}: contains the mixture sample, not other; choose another --repo"


def test_a_rebuild_says_what_it_means_for_the_version(root, prepared, tmp_path, run):
    sources = tmp_path / "sources"
    for source in ("slake", "medqa"):
        shutil.copytree(root / source, sources / source)
    options = ("--mixture", "sample", "--root", sources, "--out", tmp_path / "mix", "--workers", "1")
    arguments = ("build", *options, "--only", "slake")
    assert "records differ" not in run(*arguments)[2]
    (image,) = sorted((sources / "slake").rglob("source.jpg"))[:1]
    image.unlink()
    err = run(*arguments)[2]
    assert "note: records differ from the previous mix (sample 1.0.0): 0 added, " in err
    assert "version 1.0.0 is too low after 1.0.0: records were removed or changed, so it must be at least 2.0.0" in err
    assert "records differ" not in run("build", *options, "--only", "medqa")[2]


@pytest.mark.parametrize(
    ("before", "after", "level", "fits"),
    [
        ("1.2.3", "2.0.0", "major", True),
        ("1.2.3", "1.3.0", "major", False),
        ("1.2.3", "1.3.0", "minor", True),
        ("1.2.3", "1.2.4", "minor", False),
        ("1.2.3", "3.0.0", "minor", True),
        ("1.2.3", "1.2.4", "patch", True),
        ("1.2.3", "1.2.3", "patch", False),
        ("1.10.0", "1.9.0", "minor", False),
    ],
)
def test_which_version_may_follow(before, after, level, fits):
    assert (versions.check_bump(before, after, level) == "") == fits


def test_tags_that_name_versions():
    assert list(versions.parse_tags(["v1.10.0", "v1.9.0", "latest", "v2", "1.0.0", "v1.x.0"]).values()) == [
        "v1.9.0",
        "v1.10.0",
    ]
