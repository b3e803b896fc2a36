"""Verify a finished mix against its manifest and ledger, and the ledger against its invariants."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import medmix

from . import check_keys, check_shards, engine
from .check_shards import limited
from .describe import cards, croissant, report, statistics, thumbnails
from .evaluationsets import item_keys
from .evaluationsets.leak_report import OwnLeaks, leak_rule, own_leaks
from .mixture import EvaluationSet
from .progress import track
from .publish import pointers
from .shards import file_sha256
from .write import ledger, manifest


class Verdict(NamedTuple):
    """The findings on a mix, each with its file; its build's warnings; the search for leaks, if there was one."""

    findings: list[str]
    warnings: list[str]
    leaks: OwnLeaks | None


def check(mix: Path) -> list[str]:
    """List the findings of `verify`."""
    return verify(mix, workers=1).findings


def verify(mix: Path, workers: int) -> Verdict:
    """List all findings on a mix, none for a sound one; leaks are searched once nothing else is wrong.

    Raises:
        UsageError: the folder is no finished mix.
    """
    document = manifest.read(mix)
    if not manifest.is_unmodified(mix):
        return Verdict([manifest.MODIFIED], [], None)
    shards = manifest.shards_of(document)
    is_current = document["medmix"] == medmix.__version__
    tasks = check_shards.tasks_of(mix, document, shards, with_tables=is_current)
    reports, keys = [], []
    with statistics.Statistics() as counted:
        for found in track(engine.run(check_shards.check_shard, tasks, workers), len(tasks), "checking"):
            counted.add(found.shard, found.counted)
            keys.append(found.keys)
            reports.append(found._replace(keys=_NONE, counted=_NONE))
        measured = counted.result()
    records = check_keys.join(keys)
    findings = list(_files(mix, document, {found.shard: found.sha256 for found in reports}))
    among = check_keys.find(records, len(reports), not _allows_split_groups(document))
    for found, others in zip(reports, among, strict=True):
        findings += found.findings(*others)
    findings += [*_ledger(mix, document, check_keys.splits(records)), *_item_keys(mix, document)]
    if not findings and is_current:
        findings = list(_cards(mix, document, measured, reports))
    evaluation = _evaluation_of(document, shards)
    if findings or not evaluation:
        return Verdict(findings, document["warnings"], None)
    leaks = own_leaks(mix, evaluation, leak_rule(document), workers)
    return Verdict(_limited("data", _leaks(leaks)), document["warnings"], leaks)


_NONE = pl.DataFrame()


def _item_keys(mix: Path, document: Mapping[str, Any]) -> Iterator[str]:
    """Compare the keys of the compared evaluation items with the manifest's digests.

    A published copy has no keys of the sets of credentialed sources.
    """
    if item_keys.NAME not in document["files"] or not (mix / item_keys.NAME).is_file():
        return
    try:
        keys = item_keys.read(mix)
    except (OSError, pa.ArrowException) as error:
        yield f"{item_keys.NAME}: cannot be read ({str(error).splitlines()[0]})"
        return
    hidden = "published" in document or "ledger_without_drops" in document
    for row in document["evaluation"]:
        found = sorted(keys.get(row["set"], ()))
        if item_keys.keys_digest(found) != row["items_sha256"] and (found or not hidden):
            yield f"{item_keys.NAME}: the keys of {row['set']} are not those of the manifest"


def _evaluation_of(document: Mapping[str, Any], shards: Sequence[str]) -> list[EvaluationSet]:
    """Give the evaluation sets that the mix contains and that it drops leaks of."""
    settings = [
        EvaluationSet(source=item["source"], split=item["split"])
        for item in document["settings"]["mixture"]["evaluation"]
        if item["source"] and item["leaks"] == "drop"
    ]
    stored = {(source, name.split("-")[0]) for _, source, name in (shard.split("/") for shard in shards)}
    return [item for item in settings if (item.source, item.split) in stored]


def _leaks(leaks: OwnLeaks) -> Iterator[str]:
    for image in leaks.unreadable:
        yield f"{image['id']}: has an image that cannot be compared: {image['problem']}"
    for hit in leaks.hits:
        how = f" ({hit['transformation']})" if hit["transformation"] else ""
        yield f"{hit['id']}: leaks {hit['item']} of {hit['set']}: {hit['kind']}{how}"


def _allows_split_groups(document: Mapping[str, Any]) -> bool:
    """Tell whether the mixture keeps upstream's splits even if a group is in two of them."""
    return bool(document["settings"]["mixture"].get("conflicts") == "report")


def _files(mix: Path, document: Mapping[str, Any], known: Mapping[str, str]) -> Iterator[str]:
    """Compare the files with the manifest; `known` has the digests of files that were read already."""
    for file, facts in document["files"].items():
        path = mix / file
        if not path.is_file():
            yield f"{file}: is missing"
        elif (known.get(file) or file_sha256(path)) != facts["sha256"]:
            yield f"{file}: its bytes are not those that the build wrote"
    for entry in manifest.ENTRIES:
        found = [mix / entry] if (mix / entry).is_file() else sorted((mix / entry).rglob("*"))
        for path in found:
            name = path.relative_to(mix).as_posix()
            if path.is_file() and name != manifest.NAME and name not in document["files"]:
                yield f"{name}: is not in the manifest"


def _cards(
    mix: Path, document: Mapping[str, Any], counted: Mapping[str, Any], reports: Sequence[check_shards.ShardReport]
) -> Iterator[str]:
    """Compare statistics and tables with what the shards give, and the cards with what the manifest gives."""
    claimed = document.get("statistics", {})
    for source in sorted(counted.keys() | claimed.keys()):
        if counted.get(source) != claimed.get(source):
            yield f"{manifest.NAME}: statistics.{source} differ from those of its shards"
    examples = thumbnails.choose(mix, manifest.shards_of(document))
    try:
        texts = {
            **cards.render(document, examples),
            croissant.NAME: croissant.text(document),
            report.NAME: report.text(mix, document),
        }
    except (LookupError, TypeError, AttributeError, ValueError, jinja2.TemplateError) as error:
        yield f"{manifest.NAME}: lacks values that the cards need ({error}); build the mix again"
        return
    expected = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    same = check_shards.same_tables(mix, reports)
    if examples or thumbnails.NAME in document["files"]:
        same[thumbnails.NAME] = thumbnails.shows(mix, examples)
    for name in (*expected, *same):
        if name not in document["files"]:
            yield f"{manifest.NAME}: does not list {name}"
        elif not same.get(name, True) or expected.get(name, "") not in ("", document["files"][name]["sha256"]):
            yield f"{name}: differs from what manifest and shards give; build the mix again"


def _limited(file: str, findings: Iterator[str]) -> list[str]:
    found = list(findings)
    return limited(file, found, len(found))


def _ledger(mix: Path, document: Mapping[str, Any], splits: pl.DataFrame) -> list[str]:
    """Check the ledger, and compare its kept records with those of the mix and their `splits`."""
    path = mix / "ledger.parquet"
    try:
        table = pl.DataFrame(pl.from_arrow(pq.read_table(path)))  # polars panics on some damaged files
    except (OSError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        return [f"ledger.parquet: cannot be read ({str(error).splitlines()[0]})"]
    if dict(table.schema) != dict(ledger.SCHEMA):
        return ["ledger.parquet: its columns are not those of a ledger"]
    findings = [f"ledger.parquet: {problem}" for problem in ledger.problems(table)]
    if findings:
        return findings
    findings += _sums(document, ledger.counts(table))
    kept = table.filter(pl.col("outcome") == "kept").select("id", "split")
    if "published" in document:
        splits = check_keys.splits(pl.concat([splits, _withheld(mix)]))
    return findings + _limited("ledger.parquet", check_keys.differences(kept, splits))


def _sums(document: Mapping[str, Any], counted: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Compare the ledger's sums with the manifest's.

    The ledger of a published copy has no rows of credentialed sources, but also the withheld records of the others;
    that of a rehydrated mix has only the kept rows of credentialed sources.
    """
    if "published" in document:
        yield from _published_sums(document, counted)
        return
    for source, counts in counted.items():
        claimed = document["sources"].get(source, {})
        names = ("kept", "kept_by_split") if source in document.get("ledger_without_drops", ()) else tuple(counts)
        for name in names:
            if claimed.get(name) != counts[name]:
                yield f"{manifest.NAME}: {source}.{name} is {claimed.get(name)}, the ledger has {counts[name]}"


def _published_sums(document: Mapping[str, Any], counted: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    withheld: Counter[str] = Counter()
    for holding in document["withheld"]:
        withheld[holding["source"]] += holding["records"]
    for source, counts in counted.items():
        claimed = document["sources"].get(source, {"kept": 0})
        if claimed["kept"] + withheld[source] != counts["kept"]:
            yield (
                f"{manifest.NAME}: {source}.kept is {claimed['kept']} and {withheld[source]} withheld, "
                f"the ledger has {counts['kept']}"
            )
        for name in ("read", "dropped", "dropped_by_reason"):
            if claimed.get(name, counts[name]) != counts[name]:
                yield f"{manifest.NAME}: {source}.{name} is {claimed[name]}, the ledger has {counts[name]}"


def _withheld(mix: Path) -> pl.DataFrame:
    """Give the split of each withheld record whose id is published."""
    try:
        return pointers.scan(mix).drop_nulls("id").select("id", "split").collect()
    except (OSError, pl.exceptions.PolarsError):
        return pl.DataFrame(schema={"id": pl.String, "split": pl.String})  # its digest shows that the file is damaged
