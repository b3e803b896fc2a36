"""Copies that must not be used, recognised by their name or by files in the folder.

Facts list them (`refused`). No copy of a credentialed source on the Hub is authorised, so any download of one from
the Hub is refused, whatever its name.
"""

import re
from collections.abc import Iterator
from itertools import pairwise, takewhile
from pathlib import Path

from .. import facts

_ORIGIN_FILES = (".fetched.json", ".fetching/state.json", "dataset_info.json", "dataset_infos.json", ".git/config")
"""Files that name the dataset they belong to, as a whole value or an address."""

_CARD = "README.md"
_MAX_READ_BYTES = 1_000_000
_HUB_METADATA = ".cache/huggingface"


def reason_by_name(name: str) -> str | None:
    """Give the reason why a Hub id, or its address, must not be used; None where there is none."""
    bare = re.sub(r"^(https?://)?[^/]+/datasets/|^datasets/", "", name.strip()).strip("/").casefold()
    return next((_reason(copy) for copy in _refused_copies() if bare == copy.dataset.casefold()), None)


def reason_by_folder(folder: Path, source: str | None = None) -> str | None:
    """Give the reason why a folder, which holds `source` if given, must not be read; None where there is none.

    A card that mentions a copy in its body does not count: other datasets warn of it too.
    """
    names = [part.casefold() for part in folder.resolve().parts]
    origins = [text.casefold() for name in _ORIGIN_FILES if (text := _read_start(folder / name))]
    titles = [line.casefold() for line in _title_lines(_read_start(folder / _CARD))]
    for copy in _refused_copies():
        owner, _, name = copy.dataset.casefold().partition("/")
        matches_name = any(part.endswith((f"{owner}--{name}", f"{owner}_{name}")) for part in names)
        if matches_name or (owner, name) in pairwise(names):
            return f"{folder}: {_reason(copy)}; remove it"
        id_ = re.escape(copy.dataset.casefold())
        in_origin = any(re.search(rf'(datasets/|"){id_}(?![\w.-])', text) for text in origins)
        if in_origin or any(re.search(rf"(?<![\w.-]){id_}(?![\w-])", title) for title in titles):
            return f"{folder}: names the dataset it came from: {_reason(copy)}; remove it"
    if source is not None and (folder / _HUB_METADATA).is_dir() and facts.load(source).access == "credentialed":
        return f"{folder}: was downloaded from the Hub, where no copy of {source} is authorised; remove it"
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
    """Give the lines of a card that name its dataset: the YAML header and the headings."""
    lines = card.splitlines()
    if lines[:1] == ["---"]:
        yield from takewhile(lambda line: line != "---", lines[1:])
    yield from (line for line in lines if line.startswith("#"))
