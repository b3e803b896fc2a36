"""The whole mix again, from what was published of it and local copies of the sources that could not be.

    published copy + pointers -> scan of the local copies -> every pointer's record found -> the shards written again

Each record is held against the digests of its pointer, each shard against the manifest of the whole mix. Whatever
differs is named, and then no mix is written.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from .. import facts, mixture
from ..config import parse
from ..decide import candidates
from ..describe import cards, croissant, report, statistics
from ..errors import UsageError, WorkError
from ..fetch import hub
from ..measure.scans import scan_all
from ..measure.text import find_model
from ..progress import say
from ..read import inputs
from ..shards import file_sha256
from ..write import ledger, manifest, materialise
from ..write.workplace import place, remove_all, working
from . import copies, edition, matching, pointers

Value = TypeVar("Value")

_NAME = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+){0,2}(\.[a-z]+)?")
"""Names of the files of a mix; they are written below its folder, so none may lead out of it."""

MOST_NAMED = 50
"""Records named one by one; of the others the number is told."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command adds: worker processes, and fastText's `lid.176.ftz` where not the installed one."""

    workers: int = 1
    language_model: Path | None = None


def rehydrate(name: str, root: Path, out: Path, options: Options) -> dict[str, Any]:
    """Rebuild the whole mix of a published one into `out` and give its manifest.

    `name` is OWNER/NAME@TAG, or the folder of a published copy; `root` holds one folder per source that was not
    published as a whole.

    Raises:
        UsageError: the name, the root or `out` cannot be used.
        WorkError: records differ from those that the mix was made of; names them. Nothing is in `out` then.
    """
    with working(out, fresh=False) as work:
        copy = _copy(name, work)
        published, whole = manifest.read(copy), _whole(copy)
        sources = _sources(published, whole)
        wanted = pointers.read(copy)
        _all_pointed_at(wanted, whole)
        stage = work / f"mix-{manifest.content_digest(whole)[:20]}"
        if sources:
            _rebuild(wanted, whole, sources, root, work, stage, options)
        document = _complete(stage, copy, published, whole)
        place(stage, out)
        remove_all([*work.glob("copy-*"), *work.glob("parts"), *work.glob("scans")])
    return document


def _copy(name: str, work: Path) -> Path:
    if not Path(name).is_dir():
        repo, tag = copies.split_name(name)
        copy = copies.download(repo, hub.current_commit(repo, tag), work)
    else:
        copy = Path(name)
        manifest.read(copy)
        if not manifest.is_unmodified(copy):
            raise WorkError(f"{copy}: {manifest.MODIFIED}")
    if "published" not in manifest.read(copy):
        raise UsageError(f"{name}: is a whole mix already; rehydrate takes what medmix push published")
    return copy


def _whole(copy: Path) -> dict[str, Any]:
    """Read the manifest of the whole mix, which has to be that which the published one names."""
    if file_sha256(copy / edition.WHOLE) != manifest.read(copy)["files"][edition.WHOLE]["sha256"]:
        raise WorkError(f"{copy / edition.WHOLE}: is not what the manifest says (another digest)")
    whole = manifest.read_file(copy / edition.WHOLE)
    for name in whole["files"]:
        if not _NAME.fullmatch(name):
            raise WorkError(f"{copy / edition.WHOLE}: names a file that no mix has: {name!r}; nothing was written")
    return whole


def _sources(published: Mapping[str, Any], whole: Mapping[str, Any]) -> list[str]:
    """Give the sources of which local copies are needed, in the mixture's order."""
    withheld = {held["source"] for held in published["withheld"]}
    return [source for source in whole["sources"] if source in withheld]


def _all_pointed_at(wanted: pl.DataFrame, whole: Mapping[str, Any]) -> None:
    """Refuse a mix of which records have no pointer, as credentialed ones without an image, or too many."""
    strange = sorted(set(wanted["shard"]) - set(whole["files"]))
    if strange:
        raise WorkError(f"{pointers.FOLDER}: names a shard that the whole mix has not: {strange[0]!r}")
    for shard, facts_of in whole["files"].items():
        if shard.startswith("restricted/"):
            found = wanted.filter(pl.col("shard") == shard).height
            if found != facts_of["rows"]:
                lacking = facts_of["rows"] - found
                raise WorkError(f"{shard}: {lacking} of its records have no pointer, so the mix cannot be rebuilt")


def _rebuild(
    wanted: pl.DataFrame,
    whole: Mapping[str, Any],
    sources: Sequence[str],
    root: Path,
    work: Path,
    stage: Path,
    options: Options,
) -> None:
    """Write the restricted shards into `stage`.

    Raises:
        WorkError: a record is not there or differs, or a shard has other bytes.
    """
    rule = parse(mixture.Mixture, whole["settings"]["mixture"], edition.WHOLE)
    layouts = {source: replace(rule.sources[source], layout=whole["sources"][source]["layout"]) for source in sources}
    rule = replace(rule, sources={**rule.sources, **layouts})
    found, _ = inputs.find(rule, root, only=tuple(sources))
    found = [replace(entry, facts=_facts(whole, entry)) for entry in found]
    limit = whole["settings"]["limit"]
    model = find_model(options.language_model)
    scans = scan_all(found, work / "scans", rule.images.max_pixels, limit, options.workers, model)
    rows = candidates.load(scans, limit, rule.sections())
    matched, findings = matching.match(wanted, rows, [scan.path for scan in scans])
    plans = [
        materialise.ShardPlan(str(shard), decided.select(materialise.DECIDED))
        for (shard,), decided in matched.group_by("shard", maintain_order=True)
    ]
    for shard in materialise.write_all(plans, found, scans, rule.sections(), stage, options.workers):
        findings += matching.differences(stage / shard, wanted.filter(pl.col("shard") == shard))
    _refuse(findings, stage)
    _same_bytes(stage, whole)


def _facts(whole: Mapping[str, Any], entry: inputs.Input) -> facts.Facts:
    """Give what was known of a source when the mix was built, whatever is known now.

    A manifest has its keys sorted; where their order counts, it is that of today's facts.
    """
    known = parse(facts.Facts, whole["sources"][entry.source]["facts"], f"{edition.WHOLE}: {entry.source}")
    members = _in_order(known.licence.members, entry.facts.licence.members)
    upstream = _in_order(known.upstream, entry.facts.upstream)
    return replace(known, licence=replace(known.licence, members=members), upstream=upstream)


def _in_order(values: Mapping[str, Value], order: Iterable[str]) -> dict[str, Value]:
    return {name: values[name] for name in (*order, *values) if name in values}


def _refuse(findings: Sequence[tuple[str, str]], stage: Path) -> None:
    if not findings:
        return
    for name, why in findings[:MOST_NAMED]:
        say(f"{name}: {why}")
    if len(findings) > MOST_NAMED:
        say(f"... and {len(findings) - MOST_NAMED} more")
    for shard in stage.rglob("*.parquet"):
        shard.unlink()
    raise WorkError(f"{len(findings)} records are not those that the mix was made of; no mix was written")


def _same_bytes(stage: Path, whole: Mapping[str, Any]) -> None:
    """Refuse shards with other bytes though their records are the same: libraries write them in another way."""
    restricted = [file for file in manifest.shards_of(whole) if file.startswith("restricted/")]
    wrong = [file for file in restricted if file_sha256(stage / file) != whole["files"][file]["sha256"]]
    if not wrong:
        return
    here = manifest.library_versions()
    others = [f"{name} {version}" for name, version in whole["libraries"].items() if here[name] != version]
    told = f"install {', '.join(others)} and medmix {whole['medmix']}" if others else f"use medmix {whole['medmix']}"
    raise WorkError(f"{wrong[0]}: its records are right, its bytes are not, since other versions wrote them; {told}")


def _complete(stage: Path, copy: Path, published: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Any]:
    """Add to the rebuilt shards what was published, the ledger, the cards and the manifest; give that."""
    for file in whole["files"]:
        if file.split("/")[0] in ("data", pointers.FOLDER):
            edition.link(copy / file, stage / file)
            if file_sha256(stage / file) != whole["files"][file]["sha256"]:
                raise WorkError(f"{file}: is not what the manifest says (another digest)")
    whole = {**whole, edition.QUOTED: statistics.measure(stage, manifest.shards_of(whole))}
    if manifest.content_digest(whole) != whole["timings"][manifest.DIGEST_KEY]:
        raise WorkError(f"the records are right, but this medmix counts them otherwise; use medmix {whole['medmix']}")
    _write_ledger(stage, copy, whole)
    hidden = sorted(edition.credentialed(whole))
    document = {**whole, "files": {}, **({"ledger_without_drops": hidden} if hidden else {})}
    shards = [*manifest.shards_of(whole), *(f for f in whole["files"] if f.startswith(f"{pointers.FOLDER}/"))]
    document["files"] = manifest.file_facts(stage, [*shards, edition.LEDGER])
    written = [*cards.write(stage, document), *croissant.write(stage, document)]
    pages = report.write(stage, document)
    document["files"] |= manifest.file_facts(stage, [*written, *pages])
    differing = [file for file in written if document["files"][file] != whole["files"].get(file)]
    if differing and whole["medmix"] != published["medmix"]:
        say(f"note: the cards are those of this version of medmix, not of {whole['medmix']}")
    elif differing:
        raise WorkError(f"{differing[0]}: cannot be written again as it was; use medmix {whole['medmix']}")
    return manifest.write(stage, document)


def _write_ledger(stage: Path, copy: Path, whole: Mapping[str, Any]) -> None:
    """Write the published ledger, with a row for each kept record of credentialed sources.

    Why others of their rows were dropped was not published.
    """
    rows = pl.read_parquet(copy / edition.LEDGER)
    shards = [
        stage / file
        for source in sorted(edition.credentialed(whole))
        for file in manifest.shards_of(whole)
        if file.split("/")[1] == source
    ]
    kept = [pl.read_parquet(shard, columns=["id", "source", "split"]) for shard in shards]
    blank = {name: pl.lit("") for name in rows.columns if name not in ("id", "source", "split", "score")}
    said = {**blank, "outcome": pl.lit("kept"), "score": pl.lit(None, pl.Float64)}
    added = [frame.with_columns(**said) for frame in kept]
    ledger.write(stage / edition.LEDGER, pl.concat([rows, *(frame.select(rows.columns) for frame in added)]))
