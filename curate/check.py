"""Verify a finished mix against its manifest and ledger, and the ledger against its invariants."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import medmix

from .describe import attribution, cards, croissant, report, statistics
from .evaluationsets import item_keys
from .evaluationsets.leak_report import OwnLeaks, leak_rule, own_leaks
from .licences import terms
from .mixture import EvaluationSet
from .progress import track
from .publish import pointers
from .record import TASKS, VERDICTS
from .shards import file_sha256
from .write import ledger, manifest
from .write.features import mix_schema
from .write.image_encoding import original_sha256

MAX_FINDINGS_PER_FILE = 20


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
    findings = list(_files(mix, document))
    shards = manifest.shards_of(document)
    groups: dict[str, str] | None = None if _allows_split_groups(document) else {}
    ids: dict[str, str] = {}
    for shard in track(shards, len(shards), "checking"):
        if (mix / shard).is_file():
            findings += _limited(shard, _shard(mix, shard, groups, ids))
    findings += [*_ledger(mix, document, ids), *_item_keys(mix, document)]
    findings = findings or list(_cards(mix, document, shards))
    evaluation = _evaluation_of(document, shards)
    if findings or not evaluation:
        return Verdict(findings, document["warnings"], None)
    leaks = own_leaks(mix, evaluation, leak_rule(document), workers)
    return Verdict(_limited("data", _leaks(leaks)), document["warnings"], leaks)


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


def _files(mix: Path, document: Mapping[str, Any]) -> Iterator[str]:
    for file, facts in document["files"].items():
        path = mix / file
        if not path.is_file():
            yield f"{file}: is missing"
        elif file_sha256(path) != facts["sha256"]:
            yield f"{file}: its bytes are not those that the build wrote"
    for entry in manifest.ENTRIES:
        found = [mix / entry] if (mix / entry).is_file() else sorted((mix / entry).rglob("*"))
        for path in found:
            name = path.relative_to(mix).as_posix()
            if path.is_file() and name != manifest.NAME and name not in document["files"]:
                yield f"{name}: is not in the manifest"


def _cards(mix: Path, document: Mapping[str, Any], shards: Sequence[str]) -> Iterator[str]:
    """Compute the statistics and render the cards again; those of another version of medmix are not compared."""
    if document["medmix"] != medmix.__version__:
        return
    counted, claimed = statistics.measure(mix, shards), document.get("statistics", {})
    for source in sorted(counted.keys() | claimed.keys()):
        if counted.get(source) != claimed.get(source):
            yield f"{manifest.NAME}: statistics.{source} differ from those of its shards"
    try:
        texts = {
            **cards.render(document),
            croissant.NAME: croissant.text(document),
            report.NAME: report.text(mix, document),
        }
    except (LookupError, TypeError, AttributeError, ValueError, jinja2.TemplateError) as error:
        yield f"{manifest.NAME}: lacks values that the cards need ({error}); build the mix again"
        return
    rendered = {name: [text] for name, text in texts.items()}
    for name, lines in {**rendered, cards.ATTRIBUTION: attribution.lines(mix, document)}.items():
        if name not in document["files"]:
            yield f"{manifest.NAME}: does not list {name}"
        elif _sha256(lines) != document["files"][name]["sha256"]:
            yield f"{name}: differs from what manifest and shards give; build the mix again"


def _sha256(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
    return digest.hexdigest()


def _limited(file: str, findings: Iterator[str]) -> list[str]:
    """Give the first findings on a file, and the number of the others."""
    found = [f"{file}: {finding}" for finding in findings]
    rest = len(found) - MAX_FINDINGS_PER_FILE
    return found if rest <= 0 else [*found[:MAX_FINDINGS_PER_FILE], f"{file}: and {rest} more"]


def _shard(mix: Path, shard: str, groups: dict[str, str] | None, ids: dict[str, str]) -> Iterator[str]:
    """Check the records of one shard; add the split of each group and id to `groups` and `ids`.

    Without `groups` a group may be in two splits.
    """
    folder, source, name = shard.split("/")
    try:
        table = pq.ParquetFile(mix / shard)
        if not table.schema_arrow.equals(mix_schema()):
            yield "its columns are not those of a mix"
            return
        for batch in table.iter_batches(batch_size=256):
            for row in batch.to_pylist():
                yield from (f"{row['id']}: {problem}" for problem in _record(row, folder, source, name))
                if groups is not None and groups.setdefault(row["group"], row["split"]) != row["split"]:
                    yield f"{row['id']}: its group {row['group']} is also in {groups[row['group']]}"
                if row["id"] in ids:
                    yield f"{row['id']}: occurs twice in the mix"
                ids[row["id"]] = row["split"]
    except (pa.ArrowException, OSError) as error:
        yield f"cannot be read as parquet ({str(error).splitlines()[0]})"


def _record(row: Mapping[str, Any], folder: str, source: str, name: str) -> Iterator[str]:
    absent = [column for column, value in row.items() if value is None]
    if absent or any(image["bytes"] is None for image in row["images"]):
        yield f"has no {', '.join(absent) or 'bytes in an image'}"
        return
    if row["source"] != source or name.split("-")[0] != row["split"]:
        yield f"is of {row['source']} {row['split']}, but stored in {source}/{name}"
    if row["task"] not in TASKS:
        yield f"has the unknown task {row['task']!r}"
    yield from _licence(row, folder)
    digests = [original_sha256(image["bytes"]) for image in row["images"]]
    if digests != row["image_sha256"] or len(digests) != len(row["image_phash"]):
        yield "its image bytes do not match their digests"
    roles = [turn["role"] for turn in row["messages"]]
    parts = [part["type"] for turn in row["messages"][:1] for part in turn["content"]]
    if roles != ["user", "assistant"] or parts.count("image") != len(row["images"]):
        yield "its messages do not match its images"
    if not row["answer"]:
        yield "has no answer"


def _licence(row: Mapping[str, Any], folder: str) -> Iterator[str]:
    licence, verdict, evidence = row["license"], row["license_verdict"], row["license_evidence"]
    if licence not in terms.TERMS or verdict not in VERDICTS:
        yield f"has licence {licence!r} with verdict {verdict!r}"
    elif verdict not in (terms.verdict(licence), "unclear"):
        yield f"is {verdict}, but {licence} is {terms.verdict(licence)}"
    if not evidence["evidence"] or not evidence["read"]:
        yield f"does not say where and when its licence {licence!r} was read"
    if (folder == "data") != (verdict == "redistributable"):
        yield f"is {verdict}, but stored in {folder}/"


def _ledger(mix: Path, document: Mapping[str, Any], ids: Mapping[str, str]) -> list[str]:
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
    kept = dict(table.filter(pl.col("outcome") == "kept").select("id", "split").iter_rows())
    expected = {**ids, **_withheld_ids(mix)} if "published" in document else ids
    differing = sorted(kept.items() ^ expected.items())
    findings += _limited("ledger.parquet", (_difference(key, split, kept) for key, split in differing))
    return findings


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


def _withheld_ids(mix: Path) -> dict[str, str]:
    """Give the split of each withheld record whose id is published."""
    try:
        named = pointers.read(mix).drop_nulls("id")
    except (OSError, pl.exceptions.PolarsError):
        return {}  # its digest shows that the file is damaged
    return dict(named.select("id", "split").iter_rows())


def _difference(key: str, split: str, kept: Mapping[str, str]) -> str:
    if kept.get(key) == split:
        return f"{key} is kept for {split} in the ledger, but not in the mix"
    return f"{key} is in the mix for {split}, but not kept for it in the ledger"
