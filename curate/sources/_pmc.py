"""Figures of PubMed Central articles: what the readers of PMC-OA and PMC-VQA share."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ..record import ImageRef
from ..tables import zip_folder


def article_id(figure: str) -> str:
    """Give the id of the article from a figure's file name, `PMC1` of `PMC1_Fig2_3.jpg`, or ""."""
    name, rest, _ = figure.partition("_")
    return name if rest and name.startswith("PMC") and name[3:].isdecimal() else ""


def figure_locator(folder: Path, archive: str, unpacked: Sequence[str]) -> Callable[[str], ImageRef]:
    """Give a function from a figure's file name to its location: the first existing unpacked folder, or the archive.

    Raises:
        InputError: the archive is no whole zip archive.
    """
    for place in unpacked:
        if (folder / place).is_dir():
            return lambda name: ImageRef(f"{place}/{name}")
    inside = zip_folder(folder / archive) if (folder / archive).exists() else ""
    return lambda name: ImageRef(archive, member=inside + name)
