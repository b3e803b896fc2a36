"""The check of one public record: by its licence, by the facts of its source, and against all withheld records."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from ... import facts
from ...errors import RowError
from ...facts import Facts
from ...licences import terms
from ...measure.shingles import Hashes
from ...record import VERDICTS
from ...write import bare_images, chat
from ...write.image_encoding import original_sha256
from . import withheld, withheld_images
from .withheld import Withheld, credentialed_sources

NEAR_BITS: Final = 32
"""Bits of 256 by which the hashes of images may differ where the texts of their records are equal."""

_SECRET = VERDICTS.index("credentialed")
_UNCLEAR = VERDICTS.index("unclear")


@dataclass(frozen=True, slots=True)
class Known:
    """The withheld records of a mix, indexed.

    Attributes:
        mix: the folder.
        withheld: the records.
        searched: the images that must not be in a record whatever its text: those of credentialed records, and of
            sources that are withheld as a whole.
        index: the hashes of these.
    """

    mix: Path
    withheld: Withheld
    searched: np.ndarray
    index: withheld_images.HashIndex


@lru_cache(maxsize=1)
def load(mix: Path, file: Path) -> Known:
    """Read the withheld records of a mix from their file; once in a process."""
    known = withheld.load(file)
    is_whole = np.array([_is_withheld_whole(source) for source in known.sources], bool)
    record = known.image_records
    is_searched = (known.record_verdict == _SECRET)[record]
    is_searched |= is_whole[known.record_source[record]] if len(is_whole) else False
    searched = np.flatnonzero(is_searched & known.image_hashes.any(1))
    return Known(mix, known, searched, withheld_images.HashIndex.of(known.image_hashes[searched]))


@cache
def facts_of(source: str) -> Facts:
    """Give the facts of a source; the same object each time, since they are asked for with every record."""
    return facts.load(source)


def is_by_record(known: Facts) -> bool:
    """Whether a source has a licence for each record, collection or article."""
    return bool(known.licence.per_record or known.licence.members or known.article_licences)


def _is_withheld_whole(source: str) -> bool:
    known = facts_of(source)
    return known.licence.verdict != "redistributable" and not is_by_record(known)


def name(id_: Any, source: Any) -> str:
    """Give the id of a record, or only its source if that is credentialed or unknown."""
    is_open = source in facts.source_ids() and source not in credentialed_sources()
    return str(id_) if is_open and str(id_).startswith(f"{source}/") else f"a record of {source!r}"


def refusal_reason(id_: Any, source: Any, licence: Any, verdict: Any) -> str:
    """Give the reason why a record of this id, source, licence and verdict must not be published, or ""."""
    if source not in facts.source_ids():
        return f"has the unknown source {source!r}"
    if verdict != "redistributable":
        return f"is {verdict or 'without a verdict'}"
    if licence not in terms.TERMS or terms.verdict(licence) != "redistributable":
        return f"has the licence {licence!r}, which does not allow redistribution"
    known = facts_of(source)
    if known.access == "credentialed" or known.licence.verdict == "credentialed":
        return f"is from the credentialed source {source}"
    if known.licence.verdict != "redistributable" and not is_by_record(known):
        return f"is from {source}, whose records are all {known.licence.verdict}"
    return "" if str(id_).startswith(f"{source}/") else "has an id of another source"


def findings(row: Mapping[str, Any], known: Known) -> Iterator[str]:
    """Tell what forbids the publication of a record of `data`, given with all its columns."""
    reason = refusal_reason(row["id"], row["source"], row["license"], row["license_verdict"])
    if reason := reason or _evidence_reason(row):
        yield reason
        return
    if contains(known.withheld.id_hashes, withheld.hash_ids([row["id"]])[0]):
        yield "is a withheld record of this mix too"
    if not chat.is_of(row):
        yield "has other messages than its question and answer"
    contents = [image["bytes"] or b"" for image in row["images"] or ()]
    yield from _file_findings(row, contents, known)
    hashes: list[list[Hashes]] = []
    for content in contents:
        try:
            hashes.append(withheld_images.picture_hashes(content))
        except RowError as error:
            hashes.append([])
            yield f"has an image that cannot be decoded ({error})"
    for content, some in zip(contents, hashes, strict=True):
        if found := _image_reason(row, content, some, known):
            yield found
    if found := _equal_reason(row, contents, hashes, known):
        yield found


def _evidence_reason(row: Mapping[str, Any]) -> str:
    """Give the reason why a record's licence does not follow from its own evidence, or ""."""
    source = facts_of(row["source"])
    upstream, licence = (row["license_evidence"] or {}).get("upstream") or "", row["license"]
    stated = {(source.licence.upstream.license_text, source.licence.id)}
    stated |= {(statement.license_text, statement.id) for statement in source.licence.members.values()}
    if (upstream, licence) in stated:
        return ""
    if is_by_record(source) and terms.normalise(upstream) == licence:
        return ""
    return f"has the licence {licence!r}, but upstream's words for it are {upstream!r}"


def _file_findings(row: Mapping[str, Any], contents: list[bytes], known: Known) -> Iterator[str]:
    """Look at the files of a record's images: their digests, and what is in them beside the picture."""
    stated = list(row["image_sha256"] or ())
    stored = [hashlib.sha256(content).hexdigest() for content in contents]
    originals = [original_sha256(content) for content in contents]
    if any(
        contains(known.withheld.secret_digests, withheld.digest_number(one))
        for one in stated
        if withheld.is_digest(one)
    ):
        yield "has an image of a credentialed record"
    held = {*stored, *originals} - {""}
    if any(contains(known.withheld.secret_digests, withheld.digest_number(one)) for one in held):
        yield "has the image bytes of a credentialed record"
    if originals != stated:
        yield "has other images than its digests say"
    if any(bare_images.bare(content, keep_note=True) != content for content in contents):
        yield "has an image with more than a picture in its file; build the mix again"


def _image_reason(row: Mapping[str, Any], content: bytes, hashes: Sequence[Hashes], known: Known) -> str:
    """Give the reason why an image must not stand in this record, or ""."""
    records, by_article = known.withheld, facts_of(row["source"]).article_licences
    for image in known.searched[known.index.near(hashes)].tolist():
        record = records.image_records[image]
        verdict = int(records.record_verdict[record])
        if verdict != _SECRET and by_article:  # others reuse figures, and the article's own licence counts
            continue
        if _shows(content, image, known):
            return f"shows an image of {records.sources[records.record_source[record]]}, which is {VERDICTS[verdict]}"
    return ""


def _equal_reason(
    row: Mapping[str, Any], contents: Sequence[bytes], hashes: Sequence[Sequence[Hashes]], known: Known
) -> str:
    """Give the reason why a record is a withheld one under another name, or ""."""
    records, key = known.withheld, np.uint64(withheld.text_key(row))
    first, end = (int(np.searchsorted(records.text_keys, key, side)) for side in ("left", "right"))
    by_article = facts_of(row["source"]).article_licences
    for record in range(first, end):
        source = records.sources[records.record_source[record]]
        verdict = int(records.record_verdict[record])
        if verdict == _UNCLEAR and source != row["source"] and by_article:
            continue  # what is unknown of one copy of a figure is known of the other
        images = np.flatnonzero(records.image_records == record)
        if len(images) == len(contents) == 0 or _share_image(contents, hashes, images, known):
            return f"is equal to a withheld record of {source}, which is {VERDICTS[verdict]}"
    return ""


def _share_image(
    contents: Sequence[bytes], hashes: Sequence[Sequence[Hashes]], images: np.ndarray, known: Known
) -> bool:
    for content, some in zip(contents, hashes, strict=True):
        for hash_ in some:
            near = withheld_images.distances(known.withheld.image_hashes[images], hash_) <= NEAR_BITS
            if any(_shows(content, image, known) for image in images[near].tolist()):
                return True
    return False


def _shows(content: bytes, image: int, known: Known) -> bool:
    """Whether an image file shows the same as one of the withheld images."""
    records = known.withheld
    record = records.image_records[image]
    shard = known.mix / records.shards[records.record_shard[record]]
    held = withheld_images.read_image(shard, int(records.record_row[record]), int(records.image_places[image]))
    return withheld_images.show_same(content, held)


def contains(known: Hashes, value: Any) -> bool:
    """Whether a number is among others, which are ascending."""
    place = int(np.searchsorted(known, np.uint64(value)))
    return place < len(known) and known[place] == np.uint64(value)
