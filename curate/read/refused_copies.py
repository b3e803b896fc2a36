"""Copies that must not be used, by their name or by the marks that they leave in a folder.

Facts name them (`refused`). Of a credentialed source no copy on the Hub is authorised, so there a download from
the Hub is refused whatever it is called.
"""

import re
from collections.abc import Iterator
from itertools import pairwise, takewhile
from pathlib import Path

from .. import facts

_ORIGIN_FILES = (".fetched.json", ".fetching/state.json", "dataset_info.json", "dataset_infos.json", ".git/config")
"""Files that say which dataset they came with, as a whole value or an address."""

_CARD = "README.md"
_MAX_READ_BYTES = 1_000_000
_HUB_METADATA = ".cache/huggingface"


def reason_by_name(name: str) -> str | None:
    """Say why a Hub id, or its address, must not be used; None where nothing is known against it."""
    bare = re.sub(r"^(https?://)?[^/]+/datasets/|^datasets/", "", name.strip()).strip("/").casefold()
    return next((_reason(copy) for copy in _refused_copies() if bare == copy.dataset.casefold()), None)


def reason_by_folder(folder: Path, source: str | None = None) -> str | None:
    """Say why a folder, which holds `source` if one is given, must not be read; None where nothing is found.

    A card that speaks of a copy in its text is no mark: others warn of it too.
    """
    names = [part.casefold() for part in folder.resolve().parts]
    origins = [text.casefold() for name in _ORIGIN_FILES if (text := _read_start(folder / name))]
    titles = [line.casefold() for line in _title_lines(_read_start(folder / _CARD))]
    for copy in _refused_copies():
        owner, _, name = copy.dataset.casefold().partition("/")
        called_so = any(part.endswith((f"{owner}--{name}", f"{owner}_{name}")) for part in names)
        if called_so or (owner, name) in pairwise(names):
            return f"{folder}: {_reason(copy)}; take it away"
        id_ = re.escape(copy.dataset.casefold())
        came_so = any(re.search(rf'(datasets/|"){id_}(?![\w.-])', text) for text in origins)
        if came_so or any(re.search(rf"(?<![\w.-]){id_}(?![\w-])", title) for title in titles):
            return f"{folder}: names the dataset it came from: {_reason(copy)}; take it away"
    if source is not None and (folder / _HUB_METADATA).is_dir() and facts.load(source).access == "credentialed":
        return f"{folder}: was downloaded from the Hub, where no copy of {source} is authorised; take it away"
    return None


def _refused_copies() -> list[facts.RefusedCopy]:
    return [copy for source in facts.source_ids() for copy in facts.load(source).refused]


def _reason(copy: facts.RefusedCopy) -> str:
    return f"{copy.dataset} {copy.reason}"


def _read_start(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return handle.read(_MAX_READ_BYTES).decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
        return ""


def _title_lines(card: str) -> Iterator[str]:
    """Give the lines of a card that say what it is the card of: its YAML header and its headings."""
    lines = card.splitlines()
    if lines[:1] == ["---"]:
        yield from takewhile(lambda line: line != "---", lines[1:])
    yield from (line for line in lines if line.startswith("#"))
