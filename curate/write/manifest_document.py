"""A manifest as a stranger may have written it: parsed, and compared with the types and names that a build writes.

Every command that reads a manifest relies on this: a key that is there has the type below, names can become paths, and
a key that is not there is one clear line when it is asked for.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import UsageError

REMEDY = "build the mix again"

SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
"""Names of sources and files: they become paths and modules, and none leads out of its folder."""


class NotAManifest(Exception):
    """What is wrong with the bytes of a manifest, as the end of a sentence."""


class MissingKey(UsageError, KeyError):
    """A key that a command needs and the manifest lacks."""

    def __str__(self) -> str:
        return str(self.args[0])


class Part(dict[str, Any]):
    """An object of a manifest."""

    def __missing__(self, key: str) -> Any:
        """Raise an error that is also a `KeyError`."""
        raise MissingKey(f"manifest.json: lacks {key!r}; {REMEDY}")


class Each(NamedTuple):
    """The shape of an object with any keys; `names` is the form of the keys."""

    shape: Any
    names: re.Pattern[str] | None = None


COUNTS = Each(int)
TEXTS = [str]
FILE = {"sha256": str, "bytes": int, "rows": int, "unpacked_bytes": int}
LEAKS = [{"source": str, "set": str, "leaks": COUNTS}]
LENGTHS = {"median": (int, float), "p95": (int, float), "maximum": (int, float), "histogram": [int]}

SHAPE: dict[str, Any] = {
    "format": int,
    "medmix": str,
    "libraries": Each(str),
    "mixture": {"name": str, "version": str, "description": str, "about": {"creators": TEXTS}},
    "inputs": str,
    "settings": {
        "mixture": {
            "sources": Each(dict, SOURCE_NAME),
            "evaluation": [{"source": str, "split": str, "leaks": str}],
            "licence_policy": dict,
            "copies": {"leaks": dict},
            "conflicts": str,
        },
        "allow_lost": TEXTS,
        "allow_missing": TEXTS,
        "limit": (int, None),
        "only": TEXTS,
    },
    "sources": Each(
        {
            **dict.fromkeys(("read", "kept", "dropped", "images", "distinct_images", "groups"), int),
            **dict.fromkeys(("dataset", "revision", "layout"), (str, None)),
            **dict.fromkeys(("dropped_by_reason", "uniform_images"), COUNTS),
            **{f"kept_by_{name}": COUNTS for name in ("split", "verdict", "licence", "task", "language")},
            "facts": {
                "licence": {"effective": {"id": str, "verdict": str, "evidence": str}},
                "upstream": Each(dict),
                "background": dict,
                "known_issues": TEXTS,
            },
        },
        SOURCE_NAME,
    ),
    "missing": TEXTS,
    "selection": dict,
    "notes": TEXTS,
    "warnings": TEXTS,
    "totals": {
        **dict.fromkeys(("read", "kept", "dropped", "shared_groups"), int),
        "kept_by_split": COUNTS,
        "kept_by_verdict": COUNTS,
    },
    "terms": {"uses": [dict], "duties": [dict], "holdings": [dict], "not_combinable": [dict], "records": int},
    "evaluation": [{"set": str, "source": str, "items": int, "items_sha256": str, "hits": int}],
    "leaks": LEAKS,
    "validation_leaks": LEAKS,
    "copies": COUNTS,
    "files": Each(FILE, FILE_NAME),
    "statistics": Each({"answer_characters": LENGTHS, "question_characters": LENGTHS, "tasks": COUNTS}, SOURCE_NAME),
    "timings": dict,
    "published": {"repo": str, "tag": str, "full_records": int, "gated": bool},
    "withheld": [{"source": str, "licence": str, "verdict": str, "records": int}],
    "changelog": [{"version": str, "sources": [dict]}],
    "ledger_without_drops": TEXTS,
}
"""The types of the keys of a manifest, where they are there; other keys may have any."""

_KINDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    None: "null",
}


def parse(data: bytes) -> Part:
    """Parse the bytes of a manifest, whose format the caller compares before `find_fault`.

    Raises:
        NotAManifest: it is no object of JSON in UTF-8, or has NaN, halves of characters, or too many levels.
    """
    try:
        document = json.loads(data.decode("utf-8"), object_hook=Part, parse_constant=_refuse_constant)
        if b"\\ud" in data.lower():  # an escape can name half a character, which no file can have
            json.dumps(document, ensure_ascii=False).encode()
    except RecursionError:
        raise NotAManifest("it has too many levels") from None
    except ValueError as error:
        raise NotAManifest(" ".join(str(error).split())[:200]) from None
    if not isinstance(document, Part):
        raise NotAManifest("it is no object of JSON")
    return document


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def find_fault(document: Mapping[str, Any]) -> str | None:
    """Describe the first key that has another type, or a name that cannot be one; None if there is none."""
    return _fault(document, SHAPE, "")


def _fault(value: Any, shape: Any, where: str) -> str | None:
    if isinstance(shape, Each):
        return _each_fault(value, shape, where)
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return _wrong(value, "an object", where)
        parts = ((value[key], inner, f"{where}.{key}") for key, inner in shape.items() if key in value)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            return _wrong(value, "a list", where)
        parts = ((inner, shape[0], f"{where}[{place}]") for place, inner in enumerate(value))
    else:
        return _type_fault(value, shape if isinstance(shape, tuple) else (shape,), where)
    return next((found for part in parts if (found := _fault(*part))), None)


def _each_fault(value: Any, shape: Each, where: str) -> str | None:
    if not isinstance(value, dict):
        return _wrong(value, "an object", where)
    for key, inner in value.items():
        if shape.names and not shape.names.fullmatch(key):
            return f"{where.lstrip('.')} has the name {key[:60]!r}, which no mix has"
        if found := _fault(inner, shape.shape, f"{where}.{key}"):
            return found
    return None


def _type_fault(value: Any, kinds: tuple[Any, ...], where: str) -> str | None:
    for kind in kinds:
        if value is None if kind is None else isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return None
    return _wrong(value, " or ".join(_KINDS[kind] for kind in kinds), where)


def _wrong(value: Any, expected: str, where: str) -> str:
    return f"{where.lstrip('.') or 'it'} is {str(value)[:40]!r} and not {expected}"
