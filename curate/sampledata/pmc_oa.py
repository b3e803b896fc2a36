"""PMC-OA: one zip of sub-figures and their captions as JSON lines.

Original: one file without splits. Early: a file per split, with the article and the figure's address as well. Beta: a
sub-figure has the caption of the whole figure.
"""

from . import roco
from .faults import cut_jpeg
from .files import Tree, jpeg, json_lines, zipped
from .pmc import Figure

_OWN = tuple(Figure(article, number) for article in range(101, 138) for number in (1, 2))
_FIGURES = (*_OWN, *roco.IN_PMC_OA, *roco.CUT_IN_PMC_OA)
_EARLY = {"train": slice(0, 60), "valid": slice(60, 68), "test": slice(68, None)}


def tree(seed: int) -> Tree:
    """Make the folder: 76 captions on sub-figures, two of which ROCO has as well."""
    captions = [{"image": _name(figure), "caption": figure.caption(seed)} for figure in _FIGURES]
    return Tree(len(captions), {"pmc_oa.jsonl": json_lines(captions), "images.zip": _images(seed)})


def early_tree(seed: int) -> Tree:
    """Make the folder of the early revisions: the captions of `tree` in three splits."""
    rows = [
        {
            "image": _name(figure),
            "caption": figure.caption(seed),
            "pmcid": figure.pmcid,
            "url_name": f"https://pmc.example/articles/{figure.pmcid}/bin/{figure.file}",
        }
        for figure in _FIGURES
    ]
    files = {f"{split}.jsonl": json_lines(rows[part]) for split, part in _EARLY.items()}
    return Tree(len(rows), {**files, "images.zip": _images(seed)})


def beta_tree(seed: int) -> Tree:
    """Make the folder of the beta: the sub-figures of `tree`, those of an article under one caption."""
    rows = [{"image": _name(figure), "caption": _whole(seed, figure)} for figure in _FIGURES]
    return Tree(len(rows), {"pmc_oa_beta.jsonl": json_lines(rows), "images.zip": _images(seed)})


def _whole(seed: int, figure: Figure) -> str:
    parts = [other for other in _FIGURES if other.article == figure.article]
    return " ".join(f"({letter}) {part.caption(seed)}" for letter, part in zip("ABCD", parts, strict=False))


def _images(seed: int) -> bytes:
    return zipped({f"images/{_name(figure)}": _image(seed, figure) for figure in _FIGURES})


def _image(seed: int, figure: Figure) -> bytes:
    if figure in roco.CUT_IN_PMC_OA:
        return cut_jpeg(figure.pixels(seed))
    return jpeg(figure.pixels(seed), repacked=True)


def _name(figure: Figure) -> str:
    return f"{figure.pmcid}_Fig{figure.number}_1.jpg"
