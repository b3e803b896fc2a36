"""The report of `medmix licences`: the licences of a mix, of a mixture's sources, or of the rows that it would read."""

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
    """Report on a finished mix, from the licences of its records.

    `findings` lists violations of its policy or of its licences.

    Raises:
        UsageError: the folder is not a finished mix.
    """
    document = manifest.read(mix)
    if not manifest.is_unmodified(mix):
        on_disk = (path for folder in ("data", "restricted") for path in sorted((mix / folder).rglob("*.parquet")))
        counts, findings = _count_shards(mix, (path.relative_to(mix).as_posix() for path in on_disk))
        holdings, mix_policy = _to_holdings(counts), LicencePolicy()
        findings.insert(0, manifest.MODIFIED)
    else:
        mix_policy = parse(LicencePolicy, document["settings"]["mixture"]["licence_policy"], f"{mix / manifest.NAME}")
        counts, findings = _count_shards(mix, manifest.shards_of(document))
        holdings = _to_holdings(counts)
        findings += _policy_violations(holdings, mix_policy)
        findings += _manifest_differences(holdings, document["sources"])
    return {"mix": str(mix), **_report(holdings, mix_policy, use), "notes": [], "findings": findings}


def of_mixture(mixture: Mixture, root: Path | None = None, use: Use | None = None) -> dict[str, Any]:
    """Report on a mixture before a build: from the facts of its sources or, with a root, from every row.

    From facts, all samples of a source count under its own licence; `notes` names the sources whose records have
    individual licences. With a root, the rows of the sources in it are counted before any is dropped. Images are
    not read.

    Raises:
        UsageError: the root cannot be used.
        InputError: an upstream file is unusable as a whole.
    """
    if root is not None:
        found, missing = inputs.find(mixture, root, allow_missing=tuple(mixture.sources))
        counts, notes = _count_rows(found, dict(articles.load_table(root).select("article", "licence").iter_rows()))
        notes += [f"not read: {', '.join(missing)}"] if missing else []
    else:
        entries = [facts.load(source) for source in mixture.sources]
        counts = Counter({(entry.id, entry.licence.id, entry.licence.verdict): entry.samples for entry in entries})
        mixed = [entry.id for entry in entries if entry.licence.per_record or entry.licence.members]
        notes = [f"record licences are known only with --root or in a mix: {', '.join(mixed)}"] if mixed else []
    report = _report(_to_holdings(counts), mixture.licence_policy, use)
    return {"mixture": mixture.name, **report, "notes": notes, "findings": []}


def _to_holdings(counts: Mapping[tuple[str, str, str], int]) -> list[SourceLicence]:
    return [SourceLicence(*key, records) for key, records in sorted(counts.items())]


def _count_shards(mix: Path, shards: Iterable[str]) -> tuple[Counter[tuple[str, str, str]], list[str]]:
    """Count the records of a mix by source, licence and verdict, and list inconsistent verdicts and wrong folders."""
    counts: Counter[tuple[str, str, str]] = Counter()
    findings = []
    for shard in shards:
        try:
            table = pq.read_table(mix / shard, columns=["source", "license", "license_verdict"])
        except (pa.ArrowException, OSError) as error:
            findings.append(f"{shard}: cannot be read ({str(error).splitlines()[0]})")
            continue
        shard_counts = Counter(zip(*(map(str, column.to_pylist()) for column in table.columns), strict=True))
        for (source, licence, verdict), records in sorted(shard_counts.items()):
            problems = _verdict_problems(shard, licence, verdict)
            findings += [f"{shard}: {records} records {problem}" for problem in problems]
            counts[source, licence, verdict if verdict in VERDICTS else "unclear"] += records
    return counts, findings


def _verdict_problems(shard: str, licence: str, verdict: str) -> list[str]:
    expected = terms.verdict(licence)
    problems = []
    if verdict not in (expected, "unclear"):
        problems.append(f"have the verdict {verdict}, but {licence} is {expected}")
    if shard.startswith("data/") and (verdict, expected) != ("redistributable", "redistributable"):
        problems.append(f"may not be redistributed ({licence}, {verdict}) but are in data/")
    return problems


def _policy_violations(holdings: Sequence[SourceLicence], mix_policy: LicencePolicy) -> list[str]:
    return [
        f"{holding.source}: {holding.records} records are {holding.verdict} ({holding.licence}), "
        f"which the mixture's licence policy (use: {mix_policy.use}) excludes"
        for holding in holdings
        if not policy.permits(mix_policy, holding.licence, holding.verdict)
    ]


def _manifest_differences(holdings: Sequence[SourceLicence], claimed: Mapping[str, Any]) -> list[str]:
    """List the sources whose records have other licences than the manifest counts."""
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


def _report(holdings: Sequence[SourceLicence], mix_policy: LicencePolicy, use: Use | None) -> dict[str, Any]:
    asked = mix_policy if use in (None, mix_policy.use) else replace(mix_policy, use=use, unclear=None)
    return {
        "use": asked.use,
        **summary(holdings),
        "remaining": [
            _remaining(source, holdings, asked) for source in dict.fromkeys(part.source for part in holdings)
        ],
    }


def _remaining(source: str, holdings: Sequence[SourceLicence], asked: LicencePolicy) -> dict[str, Any]:
    of_source = [holding for holding in holdings if holding.source == source]
    permitted = [holding for holding in of_source if policy.permits(asked, holding.licence, holding.verdict)]
    return {
        "source": source,
        "records": sum(holding.records for holding in of_source),
        "remain": sum(holding.records for holding in permitted),
        "left_out": sorted({holding.licence for holding in of_source if holding not in permitted}),
    }


def _count_rows(
    found: Sequence[inputs.Input], of_articles: Mapping[str, str]
) -> tuple[Counter[tuple[str, str, str]], list[str]]:
    """Count the upstream rows by source, licence and verdict, and list unknown licences as notes."""
    statements: Counter[policy.LicenceFields] = Counter()
    for entry in found:
        read = next(layout.read for layout in layouts(entry.source) if layout.name == entry.layout)
        for shard in entry.shards:
            rows = read(entry.folder, shard)
            statements.update(_statement(row, entry.facts, of_articles) for row in rows if isinstance(row, Record))
    sources = {entry.source: entry.facts for entry in found}
    counts: Counter[tuple[str, str, str]] = Counter()
    for (source, wording, member, credit), records in statements.items():
        ruling = rule(sources[source].licence, wording, member, credit)
        counts[source, ruling.licence, ruling.verdict] += records
    return counts, policy.unknown_licence_notes(statements, sources)


def _statement(record: Record, source: facts.Facts, of_articles: Mapping[str, str]) -> policy.LicenceFields:
    credit = third_party.find_credit(record.answer) if record.task == "caption" else ""
    article = record.group.removeprefix(articles.GROUP_PREFIX) if source.article_licences else ""
    wording = record.licence or of_articles.get(article, "")
    return policy.LicenceFields(record.source, wording, record.member, credit)
