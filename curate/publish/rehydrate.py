"""Rebuild the full mix from a published mix and local copies of the sources that were not published.

    published copy + pointers -> scan of the local copies -> match each pointer with its record -> write the shards

Each record is compared with the digests of its pointer, each shard with the full manifest. Differences are listed, and
no mix is written then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from .. import facts, mixture
from ..config import parse
from ..decide import candidates
from ..describe import attribution, cards, croissant, report, statistics, thumbnails
from ..errors import UsageError, WorkError
from ..evaluationsets import item_keys
from ..measure.scans import scan_all
from ..measure.text import find_model
from ..progress import say
from ..read import inputs
from ..shards import file_sha256
from ..write import ledger, manifest, materialise
from ..write.workplace import place, remove_all, working
from . import pointer_matching, pointers, record_digests, record_tables, release, snapshot

Value = TypeVar("Value")

MAX_LISTED = 50
"""Records listed by name."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the command: number of processes, and a `lid.176.ftz` of fastText instead of the installed one."""

    workers: int = 1
    language_model: Path | None = None


def rehydrate(name: str, root: Path, out: Path, options: Options) -> dict[str, Any]:
    """Rebuild the full mix of a published one into `out` and give its manifest.

    `name` is OWNER/NAME@TAG or the folder of a published copy. `root` has one folder for each source that was not
    completely published.

    Raises:
        UsageError: the name, the root or `out` is unusable.
        WorkError: records differ from those of the mix, and are listed. Then `out` has no mix.
    """
    with working(out, fresh=False) as work:
        copy = _open_copy(name, work)
        published, full = manifest.read(copy), _read_full_manifest(copy)
        sources = _withheld_sources(published, full)
        wanted = pointers.read(copy)
        _validate_pointers(wanted, full)
        stage = work / f"mix-{manifest.content_digest(full)[:20]}"
        if sources:
            _rebuild(wanted, full, sources, root, work, stage, options)
        document = _add_published_files(stage, copy, published, full)
        place(stage, out)
        remove_all([*work.glob("copy-*"), *work.glob("parts"), *work.glob("scans")])
    return document


def _open_copy(name: str, work: Path) -> Path:
    copy = Path(name) if Path(name).is_dir() else snapshot.download_tag(name, work)
    document = manifest.read(copy)
    if not manifest.is_unmodified(copy):
        raise WorkError(f"{copy}: {manifest.MODIFIED}")
    if "published" not in document:
        raise UsageError(f"{name}: is a full mix already; give a mix that medmix push published")
    _validate_files(copy, document)
    return copy


def _validate_files(copy: Path, document: Mapping[str, Any]) -> None:
    """Refuse a copy that lacks a listed file, or has one of another digest; shards are compared when they are used."""
    for file, listed in document["files"].items():
        if not (copy / file).is_file():
            raise WorkError(f"{copy}: {file} is missing, which the manifest lists; copy or download it again")
        if file.split("/")[0] != "data" and file_sha256(copy / file) != listed["sha256"]:
            raise WorkError(f"{copy / file}: {snapshot.DIFFERENT_DIGEST}; copy or download it again")


def _read_full_manifest(copy: Path) -> dict[str, Any]:
    """Read the full manifest, which the manifest of the copy must list, as it must the ledger and the keys."""
    listed = manifest.read(copy)["files"]
    for file in (release.FULL_MANIFEST, release.LEDGER, item_keys.NAME):
        if file not in listed:
            raise WorkError(f"{copy}: {manifest.NAME} does not list {file}; give a mix that medmix push published")
    return manifest.read_file(copy / release.FULL_MANIFEST)


def _withheld_sources(published: Mapping[str, Any], full: Mapping[str, Any]) -> list[str]:
    """Give the sources that need local copies, in the order of the mixture."""
    withheld = {entry["source"] for entry in published["withheld"]}
    return [source for source in full["sources"] if source in withheld]


def _validate_pointers(wanted: pl.DataFrame, full: Mapping[str, Any]) -> None:
    """Refuse a mix whose shards have more or fewer records than pointers (credentialed ones without images)."""
    unknown = sorted(set(wanted["shard"]) - set(full["files"]))
    if unknown:
        raise WorkError(f"{pointers.FOLDER}: contains a shard that the full mix does not have: {unknown[0]!r}")
    for shard, facts_of in full["files"].items():
        if shard.startswith("restricted/"):
            missing = facts_of["rows"] - wanted.filter(pl.col("shard") == shard).height
            if missing:
                raise WorkError(f"{shard}: {missing} of its records have no pointer, so the mix cannot be rebuilt")


def _rebuild(
    wanted: pl.DataFrame,
    full: Mapping[str, Any],
    sources: Sequence[str],
    root: Path,
    work: Path,
    stage: Path,
    options: Options,
) -> None:
    """Write the restricted shards into `stage`.

    Raises:
        WorkError: a record is missing or differs, or a shard has other bytes.
    """
    rule = parse(mixture.Mixture, full["settings"]["mixture"], release.FULL_MANIFEST)
    layouts = {source: replace(rule.sources[source], layout=full["sources"][source]["layout"]) for source in sources}
    rule = replace(rule, sources={**rule.sources, **layouts})
    lost = [source for source in full["settings"]["allow_lost"] if source in sources]
    found, _ = inputs.find(rule, root, only=tuple(sources), allow_lost=lost, may_omit=False)
    found = [replace(entry, facts=_facts_of_build(full, entry)) for entry in found]
    limit = full["settings"]["limit"]
    model = find_model(options.language_model)
    scans = scan_all(found, work / "scans", rule.images.max_pixels, limit, options.workers, model)
    rows = candidates.load(scans, limit, rule.sections())
    matched, findings = pointer_matching.match_pointers(wanted, rows, [scan.path for scan in scans])
    plans = [
        materialise.ShardPlan(str(shard), decided.select(materialise.DECIDED))
        for (shard,), decided in matched.group_by("shard", maintain_order=True)
    ]
    written = materialise.write_all(plans, found, scans, rule.sections(), stage, options.workers)
    for shard in written:
        mine = wanted.filter(pl.col("shard") == shard.path)
        findings += pointer_matching.find_differences(stage / shard.path, mine)
    _validate_records(findings, stage)
    _validate_shards({shard.path: shard.sha256 for shard in written}, full)


def _facts_of_build(full: Mapping[str, Any], entry: inputs.Input) -> facts.Facts:
    """Give the facts of a source at the time of the build, which may differ from the current ones.

    The keys of a manifest are sorted; where their order matters, it is taken from the current facts.
    """
    known = parse(facts.Facts, full["sources"][entry.source]["facts"], f"{release.FULL_MANIFEST}: {entry.source}")
    members = _in_order(known.licence.members, entry.facts.licence.members)
    upstream = _in_order(known.upstream, entry.facts.upstream)
    return replace(known, licence=replace(known.licence, members=members), upstream=upstream)


def _in_order(values: Mapping[str, Value], order: Iterable[str]) -> dict[str, Value]:
    return {name: values[name] for name in (*order, *values) if name in values}


def _validate_records(findings: Sequence[pointer_matching.Finding], stage: Path) -> None:
    if not findings:
        return
    for finding in findings[:MAX_LISTED]:
        say(f"{finding.record}: {finding.problem}")
    if len(findings) > MAX_LISTED:
        say(f"... and {len(findings) - MAX_LISTED} more")
    for shard in stage.rglob("*.parquet"):
        shard.unlink()
    raise WorkError(f"{len(findings)} records differ from those of the mix; no mix was written")


def _validate_shards(digests: Mapping[str, str], full: Mapping[str, Any]) -> None:
    """Refuse shards whose bytes differ although their records are equal: other library versions wrote them."""
    restricted = [file for file in manifest.shards_of(full) if file.startswith("restricted/")]
    wrong = [file for file in restricted if digests.get(file) != full["files"][file]["sha256"]]
    if not wrong:
        return
    here = manifest.library_versions()
    others = [f"{name} {version}" for name, version in full["libraries"].items() if here[name] != version]
    remedy = f"install {', '.join(others)} and medmix {full['medmix']}" if others else f"use medmix {full['medmix']}"
    raise WorkError(f"{wrong[0]}: the records are equal, but other library versions write other bytes; {remedy}")


def _add_published_files(
    stage: Path, copy: Path, published: Mapping[str, Any], full: Mapping[str, Any]
) -> dict[str, Any]:
    """Complete the rebuilt shards to a full mix, and give its manifest."""
    _link_published(stage, copy, full)
    full = {**full, release.UNPUBLISHED_KEY: statistics.measure(stage, manifest.shards_of(full))}
    if manifest.content_digest(full) != full["timings"][manifest.DIGEST_KEY]:
        raise WorkError(f"the records are equal, but this version counts them differently; use medmix {full['medmix']}")
    _write_ledger(stage, copy, full)
    release.link_file(copy / item_keys.NAME, stage / item_keys.NAME)
    return manifest.write(stage, _write_cards(stage, published, full))


def _link_published(stage: Path, copy: Path, full: Mapping[str, Any]) -> None:
    for file, facts_of in full["files"].items():
        if file.split("/")[0] in ("data", pointers.FOLDER, record_digests.NAME):
            release.link_file(copy / file, stage / file)
            if file_sha256(stage / file) != facts_of["sha256"]:
                raise WorkError(f"{file}: {snapshot.DIFFERENT_DIGEST}")


def _write_cards(stage: Path, published: Mapping[str, Any], full: Mapping[str, Any]) -> dict[str, Any]:
    """Write cards and report, compare the cards with the full manifest, and give the manifest of the rebuilt mix."""
    hidden = sorted(release.credentialed_sources(full))
    document = {**full, "files": {}, **({"ledger_without_drops": hidden} if hidden else {})}
    shards = manifest.shards_of(full)
    tables = [*shards, *(file for file in full["files"] if file.startswith(f"{pointers.FOLDER}/")), record_digests.NAME]
    document["files"] = manifest.file_facts(stage, [*tables, release.LEDGER, item_keys.NAME])
    credits = attribution.of_shards(stage, shards, record_tables.credits_of(full))
    written = [attribution.write(stage, credits), *cards.write(stage, document), *croissant.write(stage, document)]
    document["files"] |= manifest.file_facts(stage, [*written, *report.write(stage, document)])
    is_other_pillow = manifest.library_versions()["pillow"] != full["libraries"].get("pillow")
    same = {thumbnails.NAME} if is_other_pillow else set()  # Pillow determines the bytes of the sheet
    differing = [file for file in written if file not in same and document["files"][file] != full["files"].get(file)]
    if differing and full["medmix"] != published["medmix"]:
        say(f"note: the cards are those of this version of medmix, not of {full['medmix']}")
    elif differing:
        raise WorkError(f"{differing[0]}: differs from the file of the build; use medmix {full['medmix']}")
    return document


def _write_ledger(stage: Path, copy: Path, full: Mapping[str, Any]) -> None:
    """Write the published ledger with a row for each kept record of credentialed sources.

    The reasons for their dropped records were not published.
    """
    rows = pl.read_parquet(copy / release.LEDGER)
    hidden = sorted(release.credentialed_sources(full))
    shards = [file for source in hidden for file in manifest.shards_of(full) if file.split("/")[1] == source]
    kept = [pl.read_parquet(stage / shard, columns=["id", "source", "split"]) for shard in shards]
    blank = {name: pl.lit("") for name in rows.columns if name not in ("id", "source", "split", "score")}
    values = {**blank, "outcome": pl.lit("kept"), "score": pl.lit(None, pl.Float64)}
    added = [frame.with_columns(**values).select(rows.columns) for frame in kept]
    ledger.write(stage / release.LEDGER, pl.concat([rows, *added]))
