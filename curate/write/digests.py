"""Digests of the parts of a record, by which records are compared without their content.

A keyed digest is HMAC-SHA-256 (RFC 2104); its key is made of the digests of the record's own images. Without the images
nobody can verify a guess of the content, such as a short id or a common report; with the images the record is found.
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
"""Part of a record -> its columns. Split, licence and verdict are compared without digests."""

DIGEST_COLUMNS = tuple(f"{part}_sha256" for part in PARTS)
"""The columns with the digests, in the order of `PARTS`."""

_PART_COLUMNS = [name for names in PARTS.values() for name in names]
SHARD_COLUMNS = ["id", "source", "split", "license", "license_verdict", *_PART_COLUMNS]
"""The columns of a shard that digests and comparisons need; image bytes are not among them."""


_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False)


def part_digests(row: Mapping[str, Any], key: bytes | None = None) -> dict[str, str]:
    """Give the digest of each part of a record in hex by `DIGEST_COLUMNS`; keyed if a key is given."""
    return {f"{part}_sha256": _digest(_text({name: row[name] for name in names}), key) for part, names in PARTS.items()}


def record_key(image_sha256: Sequence[str]) -> bytes | None:
    """Give the 32-byte key of a record with these images; None without images."""
    if not image_sha256:
        return None
    return hashlib.sha256("\0".join(("medmix pointer", *image_sha256)).encode()).digest()


def credentialed_key(row: Mapping[str, Any]) -> bytes | None:
    """Give the key of a record whose digests must be keyed; None for others, and where there are no images."""
    return record_key(row["image_sha256"]) if row["license_verdict"] == "credentialed" else None


def keyed_id(id_: str, key: bytes) -> str:
    """Give the keyed digest of a record's id in hex; only owners of its images can compute it."""
    return _digest(id_, key)


def _text(values: Mapping[str, Any]) -> str:
    return _ENCODER.encode(values)


def _digest(text: str, key: bytes | None) -> str:
    if key is None:
        return hashlib.sha256(text.encode()).hexdigest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
