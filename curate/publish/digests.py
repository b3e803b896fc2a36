"""What is compared of a record when nothing of it may be shown: one digest for each of its parts.

A keyed digest is HMAC-SHA-256 (RFC 2104) under a key that is made of the digests of the record's own images. Who has
no copy of the images can neither read anything from it nor try out guesses, short ids and common reports among them;
who has one finds the record.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

PARTS: dict[str, tuple[str, ...]] = {
    "images": ("image_sha256",),
    "text": ("messages", "question", "answer", "alternatives", "choices", "answer_type"),
    "labels": ("task", "modality", "language", "group"),
    "provenance": ("license_evidence", "attribution", "upstream", "image_phash"),
}
"""Part of a record -> its columns. Split, licence and verdict are compared as they are."""

COLUMNS = tuple(f"{part}_sha256" for part in PARTS)
"""Where a table holds the digests of the parts, in the order of `PARTS`."""

READ = ["id", "source", "split", "license", "license_verdict", *(name for names in PARTS.values() for name in names)]
"""The columns of a shard that digests and comparisons need; not the bytes of the images."""


def parts(row: Mapping[str, Any], key: bytes | None = None) -> dict[str, str]:
    """Give the digest of each part of a record, hex, by the names in `COLUMNS`; keyed where there is a key."""
    return {f"{part}_sha256": _digest(_text({name: row[name] for name in names}), key) for part, names in PARTS.items()}


def key_of(image_sha256: Sequence[str]) -> bytes | None:
    """Give the key of a record with these images, 32 bytes; None without images, where nothing could be hidden."""
    if not image_sha256:
        return None
    return hashlib.sha256("\0".join(("medmix pointer", *image_sha256)).encode()).digest()


def keyed_id(id_: str, key: bytes) -> str:
    """Give the id of a record as only those can tell it who have its images, hex."""
    return _digest(id_, key)


def _text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, ensure_ascii=False)


def _digest(text: str, key: bytes | None) -> str:
    if key is None:
        return hashlib.sha256(text.encode()).hexdigest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
