"""PMC-OA: one zip of sub-figures and their captions as JSON lines, without splits."""

from . import roco
from .files import Tree, jpeg, json_lines, zipped
from .pmc import Figure

_OWN = tuple(Figure(article, number) for article in range(101, 138) for number in (1, 2))


def tree(seed: int) -> Tree:
    """Make the folder: 76 captions on sub-figures, two of which ROCO has as well."""
    figures = (*_OWN, *roco.IN_PMC_OA)
    captions = [{"image": _name(figure), "caption": figure.caption(seed)} for figure in figures]
    images = {f"images/{_name(figure)}": jpeg(figure.pixels(seed), repacked=True) for figure in figures}
    return Tree(len(captions), {"pmc_oa.jsonl": json_lines(captions), "images.zip": zipped(images)})


def _name(figure: Figure) -> str:
    return f"{figure.pmcid}_Fig{figure.number}_1.jpg"
