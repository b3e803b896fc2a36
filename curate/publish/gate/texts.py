"""The check of texts that go out: cells of tables, names, and the pages of a release."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ...describe import card_metadata
from ...write import manifest
from . import ids, readable
from .phrases import Hit, Phrases, texts_of_bytes

_FACTS = ("rows", "bytes", "unpacked_bytes")
PAGE_SUFFIXES = (".md", ".json", ".bib", ".svg", ".html")


def id_columns(batch: pa.RecordBatch, known: ids.Numbers) -> Iterator[str]:
    """Give the columns in which a text, a number or a file contains an id of MIMIC-CXR."""
    for column in batch.schema.names:
        if any(_contains_id(values, known) for values in _leaf_arrays(batch[column])):
            yield column


def _leaf_arrays(array: pa.Array) -> Iterator[pa.Array]:
    """Give the arrays of texts, bytes and numbers inside an array."""
    kind = array.type
    if pa.types.is_struct(kind):
        for place in range(kind.num_fields):
            yield from _leaf_arrays(array.field(place))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _leaf_arrays(array.flatten())
    else:
        yield array


def _contains_id(array: pa.Array, known: ids.Numbers) -> bool:
    kind = array.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return bool(np.isin(np.abs(array.drop_null().to_numpy(zero_copy_only=False)), known).any())
    is_text = not pa.types.is_binary(kind)
    data = array.buffers()[2] if is_text or array.type == pa.binary() else None
    is_hiding = is_text and data is not None and readable.may_hide(data)
    if data is None or not (is_hiding or ids.may_contain(data, with_numbers=is_text)):
        return False
    numbers = known if is_text else known[:0]
    contents = (form for value in array.to_pylist() if value for form in _forms(value, is_hiding))
    return any(next(ids.find(content, numbers), None) is not None for content in contents)


def _forms(value: str | bytes, is_hiding: bool) -> list[bytes]:
    if isinstance(value, bytes):
        return [value]
    return [value.encode(), *(form.encode("utf-8", "replace") for form in readable.forms(value) if is_hiding)]


def row_hits(rows: Sequence[Mapping[str, Any]], phrases: Phrases) -> list[Hit]:
    """Find phrases of withheld reports in the cells of rows; the place of a hit is the number of its row."""
    texts = [(number, text) for number, row in enumerate(rows) for text in _texts(row)]
    hits = phrases.find([text for _, text in texts])
    return [hit._replace(place=texts[hit.place][0]) for hit in hits]


def _texts(value: Any) -> Iterator[str]:
    """Give all texts inside a value, those in the bytes of images too."""
    for leaf in _leaves(value):
        if isinstance(leaf, str):
            yield leaf
        elif isinstance(leaf, bytes):
            yield from texts_of_bytes(leaf)


def _leaves(value: Any) -> Iterator[Any]:
    """Give the values inside a value that are no objects and no lists."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, list):
        yield value
        return
    for one in value:
        yield from _leaves(one)


def page_findings(data: bytes, known: ids.Numbers, sizes: frozenset[int]) -> Iterator[str]:
    """Tell what forbids the publication of a page; `sizes` are numbers that are no ids (`sizes_of`)."""
    if b"\0" in data:
        yield "is not a text file"
    for place in ids.find(data, known):
        if not _is_size(data, place, sizes):
            line = data.count(b"\n", 0, place) + 1
            yield f"line {line} contains a possible id of MIMIC-CXR"
    if readable.may_hide(data):
        shown = data.decode("utf-8", "replace")
        for content in (form.encode("utf-8", "replace") for form in readable.forms(shown)):
            if any(not _is_size(content, place, sizes) for place in ids.find(content, known)):
                yield "contains a possible id of MIMIC-CXR in other signs"
                return


def _is_size(data: bytes, place: int, sizes: frozenset[int]) -> bool:
    return data[place : place + 8].isdigit() and int(data[place : place + 8]) in sizes


def page_hits(name: str, data: bytes, phrases: Phrases) -> list[Hit]:
    """Find phrases of withheld reports in a page."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return []
    return phrases.find([text, *(_json_texts(text) if name.endswith(".json") else ())])


def _json_texts(text: str) -> list[str]:
    try:
        return list(_texts(json.loads(text)))
    except (ValueError, RecursionError):  # it is not what the mix gives, which is told elsewhere
        return []


def sizes_of(*documents: Mapping[str, Any]) -> frozenset[int]:
    """Give the sizes and counts of files in manifests, and their sums in a card: any of them may look like an id."""
    found: set[int] = set()
    for document in documents:
        found.update(leaf for leaf in _leaves([document["files"], document["totals"]]) if isinstance(leaf, int))
        for chosen in (manifest.shards_of(document), [one for one in document["files"] if one.startswith("data/")]):
            for shards in card_metadata.by_config(chosen).values():
                for part in (shards, *card_metadata.by_split(shards).values()):
                    facts = [document["files"][shard] for shard in part]
                    found.update(sum(one.get(fact, 0) for one in facts) for fact in _FACTS)
    return frozenset(found)
