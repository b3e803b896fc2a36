"""What `medmix licences` tells: the licences of a mix, of a mixture by facts, or of the rows that it would read."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from .. import facts
from ..config import parse
from ..decide import policy
from ..licences import terms
from ..licences.effective import SourceLicence, summary
from ..licences.rulings import rule
from ..measure import third_party
from ..mixture import LicencePolicy, Mixture
from ..read import articles, inputs
from ..record import VERDICTS, Record
from ..sources import layouts
from ..write import manifest

Use = Literal["research", "commercial"]


def of_mix(mix: Path, use: Use | None = None) -> dict[str, Any]:
    """Report on a finished mix, by the licences that its records bear.

    `findings` lists where the mix breaks its own policy or its licences, empty when nowhere.

    Raises:
        UsageError: the folder is no finished mix.
    """
    document = manifest.read(mix)
    if not manifest.is_untouched(mix):
        counts, findings = _shards(mix, sorted(_found(mix)))
        return _told(mix, _holdings(counts), LicencePolicy(), use, [manifest.TOUCHED, *findings])
    own = parse(LicencePolicy, document["settings"]["mixture"]["licence_policy"], f"{mix / manifest.NAME}")
    counts, findings = _shards(mix, [file for file in document["files"] if _is_shard(file)])
    holdings = _holdings(counts)
    findings += _breaches(holdings, own)
    findings += _differences(holdings, document["sources"])
    return _told(mix, holdings, own, use, findings)


def _told(
    mix: Path, holdings: Sequence[SourceLicence], own: LicencePolicy, use: Use | None, findings: list[str]
) -> dict[str, Any]:
    return {"mix": str(mix), **_report(holdings, own, use), "notes": [], "findings": findings}


def _found(mix: Path) -> Iterable[str]:
    files = (path.relative_to(mix).as_posix() for path in mix.rglob("*.parquet"))
    return filter(_is_shard, files)


def of_mixture(mixture: Mixture, root: Path | None = None, use: Use | None = None) -> dict[str, Any]:
    """Report on a mixture before it is built: by facts alone or, with a root, by every row; no image is read.

    By facts alone a source counts with all its samples under its own licence; `notes` names those whose records
    have licences of their own. With a root the sources that lie there are counted, before anything is dropped.

    Raises:
        UsageError: the root cannot be used.
        InputError: an upstream file is unusable as a whole.
    """
    if root is not None:
        found, missing = inputs.find(mixture, root, allow_missing=tuple(mixture.sources))
        counts, notes = _rows(found, dict(articles.load_table(root).select("article", "licence").iter_rows()))
        notes += [f"not read: {', '.join(missing)}"] if missing else []
    else:
        entries = [facts.load(source) for source in mixture.sources]
        counts = Counter({(entry.id, entry.licence.id, entry.licence.verdict): entry.samples for entry in entries})
        mixed = [entry.id for entry in entries if entry.licence.per_record or entry.licence.members]
        notes = [f"seen only with --root or in a mix, record by record: {', '.join(mixed)}"] if mixed else []
    report = _report(_holdings(counts), mixture.licence_policy, use)
    return {"mixture": mixture.name, **report, "notes": notes, "findings": []}


def _is_shard(file: str) -> bool:
    return file.split("/")[0] in ("data", "restricted")


def _holdings(counts: Mapping[tuple[str, str, str], int]) -> list[SourceLicence]:
    return [SourceLicence(*key, records) for key, records in sorted(counts.items())]


def _shards(mix: Path, shards: Iterable[str]) -> tuple[Counter[tuple[str, str, str]], list[str]]:
    """Count the records of a mix by source, licence and verdict, and list what lies in the wrong folder."""
    counts: Counter[tuple[str, str, str]] = Counter()
    findings = []
    for shard in shards:
        try:
            table = pq.read_table(mix / shard, columns=["source", "license", "license_verdict"])
        except (pa.ArrowException, OSError) as error:
            findings.append(f"{shard}: cannot be read ({str(error).splitlines()[0]})")
            continue
        mine = Counter(zip(*(map(str, column.to_pylist()) for column in table.columns), strict=True))
        for (source, licence, verdict), records in sorted(mine.items()):
            findings += [f"{shard}: {records} records {wrong}" for wrong in _wrongs(shard, licence, verdict)]
            counts[source, licence, verdict if verdict in VERDICTS else "unclear"] += records
    return counts, findings


def _wrongs(shard: str, licence: str, verdict: str) -> list[str]:
    follows = terms.verdict(licence)
    found = []
    if verdict not in (follows, "unclear"):
        found.append(f"are said to be {verdict}, but {licence} is {follows}")
    if shard.startswith("data/") and (verdict, follows) != ("redistributable", "redistributable"):
        found.append(f"may not be redistributed ({licence}, {verdict}) and lie in data/")
    return found


def _breaches(holdings: Sequence[SourceLicence], own: LicencePolicy) -> list[str]:
    return [
        f"{holding.source}: {holding.records} records are {holding.verdict} ({holding.licence}), "
        f"which the mixture's licence policy (use: {own.use}) leaves out"
        for holding in holdings
        if not policy.permits(own, holding.licence, holding.verdict)
    ]


def _differences(holdings: Sequence[SourceLicence], claimed: Mapping[str, Any]) -> list[str]:
    """List the sources whose records do not bear the licences that the manifest counts."""
    found: dict[str, Counter[str]] = {source: Counter() for source in claimed}
    for holding in holdings:
        found.setdefault(holding.source, Counter())[holding.licence] += holding.records
    return [
        f"{source}: the records' licences are {dict(counts)}, the manifest has {claimed[source]['kept_by_licence']}"
        if source in claimed
        else f"{source}: is not in the manifest"
        for source, counts in found.items()
        if source not in claimed or counts != claimed[source]["kept_by_licence"]
    ]


def _report(holdings: Sequence[SourceLicence], own: LicencePolicy, use: Use | None) -> dict[str, Any]:
    asked = own if use in (None, own.use) else replace(own, use=use, unclear=None)
    return {
        "use": asked.use,
        **summary(holdings),
        "remaining": [
            _remaining(source, holdings, asked) for source in dict.fromkeys(part.source for part in holdings)
        ],
    }


def _remaining(source: str, holdings: Sequence[SourceLicence], asked: LicencePolicy) -> dict[str, Any]:
    mine = [holding for holding in holdings if holding.source == source]
    kept = sum(part.records for part in mine if policy.permits(asked, part.licence, part.verdict))
    left_out = {part.licence for part in mine if not policy.permits(asked, part.licence, part.verdict)}
    return {
        "source": source,
        "records": sum(part.records for part in mine),
        "remain": kept,
        "left_out": sorted(left_out),
    }


def _rows(
    found: Sequence[inputs.Input], of_articles: Mapping[str, str]
) -> tuple[Counter[tuple[str, str, str]], list[str]]:
    """Count the upstream rows by source, licence and verdict, and say which licences are not known."""
    said: Counter[policy.LicenceFields] = Counter()
    for entry in found:
        read = next(layout.read for layout in layouts(entry.source) if layout.name == entry.layout)
        for shard in entry.shards:
            rows = read(entry.folder, shard)
            said.update(_said(row, entry.facts, of_articles) for row in rows if isinstance(row, Record))
    sources = {entry.source: entry.facts for entry in found}
    counts: Counter[tuple[str, str, str]] = Counter()
    for (source, wording, member, credit), records in said.items():
        ruling = rule(sources[source].licence, wording, member, credit)
        counts[source, ruling.licence, ruling.verdict] += records
    return counts, policy.unknown_licence_notes(said, sources)


def _said(record: Record, source: facts.Facts, of_articles: Mapping[str, str]) -> policy.LicenceFields:
    credit = third_party.find_credit(record.answer) if record.task == "caption" else ""
    article = record.group.removeprefix(articles.GROUP_PREFIX) if source.article_licences else ""
    wording = record.licence or of_articles.get(article, "")
    return policy.LicenceFields(record.source, wording, record.member, credit)
