"""Miniature upstream trees of the sources, made by code: licence-free, seeded, in every upstream layout.

No text or picture is taken from a real dataset. Pictures are drawn from a few facts (kind, plane, organ,
bright spots, their side) and the questions ask for those facts, so a model has something to learn.

What is wrong on purpose, so that each stage of a build is seen at work, with the upstream rows (train rows
where splits or sources meet) that have it in each source's default layout:

    truncated-jpeg             the second half of the file is missing    roco 1
    empty-image-file           no bytes                                  roco 1
    missing-image              the named file is not there               roco 1, omnimedvqa 6
    error-page-as-image        a web page under an image's name          vqa_med_2019 4
    climbing-image-name        `../../etc/passwd`                        vqa_rad 1, pmc_vqa 1
    too-small-image            16 x 16 pixels                            slake 5
    too-many-pixels            a PNG header of 60000 x 60000             iu_xray 1
    png-16-bit                 sound, 16-bit grey                        iu_xray 1
    png-rgba                   sound, with transparency                  iu_xray 1
    png-palette                sound, with a palette                     iu_xray 1
    jpeg-cmyk                  sound, four inks                          pathvqa 12
    jpeg-grey                  sound, grey among colour                  pathvqa 3
    jpeg-exif-rotated          sound, on its side, tagged so             vqa_rad 3
    empty-answer               the answer is an empty string             slake 1
    no-report-text             neither findings nor impression           iu_xray 1
    no-published-answer        the test split comes without keys         medmcqa 12
    wrong-label                the letter contradicts the answer's text  pmc_vqa 1
    german-caption             two sentences of German                   roco 1
    control-characters         BEL and VT in a caption                   roco 1
    not-nfc                    an umlaut as two code points              roco 1
    no-licence                 `NO-CC CODE`                              roco 7
    repeated-row               same image, question and answer again     pathvqa 1, omnimedvqa 2, pmc_vqa 8
    copied-record              the pixels and text of VQA-RAD or ROCO    vqa_med_2019 2, pmc_oa 1
    altered-record             the text, and the image cut and mirrored  pmc_oa 1
    leaked-image               a test image of another source            vqa_rad 3, vqa_med_2019 4, roco 1, omnimedvqa 2
    nearly-leaked-image        the same, scaled                          roco 1
    leaked-text                a test question, case aside               medqa 1, medmcqa 1
    image-in-train-and-test    upstream's; in SLAKE across languages     vqa_rad 6, slake 9
    article-in-train-and-test  upstream's: figures of one article        roco 2, pmc_vqa 2
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from ..config import nearest
from ..errors import UsageError, WorkError
from . import (
    iu_xray,
    medmcqa,
    medqa,
    mimic_cxr,
    omnimedvqa,
    pathvqa,
    pmc_oa,
    pmc_vqa,
    pubmedqa,
    roco,
    slake,
    ubench,
    vqa_med_2019,
    vqa_rad,
)
from .files import Tree

__all__ = ["TREES", "layout_names", "write"]

TREES: dict[str, dict[str, Callable[[int], Tree]]] = {
    "pathvqa": {"original": pathvqa.tree, "hub": pathvqa.hub_tree},
    "mimic_cxr": {"jpg": mimic_cxr.tree, "original": mimic_cxr.original_tree},
    "iu_xray": {"kaggle": iu_xray.tree, "original": iu_xray.original_tree, "r2gen": iu_xray.r2gen_tree},
    "vqa_rad": {"original": vqa_rad.tree, "repacked": vqa_rad.repacked_tree, "hub": vqa_rad.hub_tree},
    "roco": {"original": roco.tree, "hub": roco.hub_tree},
    "omnimedvqa": {"archive": omnimedvqa.tree, "original": omnimedvqa.folder_tree},
    "ubench": {"original": ubench.tree, "hub": ubench.hub_tree},
    "slake": {"original": slake.tree, "hub": slake.hub_tree},
    "pmc_oa": {"original": pmc_oa.tree, "early": pmc_oa.early_tree, "beta": pmc_oa.beta_tree},
    "pmc_vqa": {"original": pmc_vqa.tree},
    "vqa_med_2019": {"original": vqa_med_2019.tree},
    "medqa": {"original": medqa.tree, "hub": medqa.hub_tree, "five-options": medqa.five_tree},
    "medmcqa": {"original": medmcqa.tree, "hub": medmcqa.hub_tree},
    "pubmedqa": {"original": pubmedqa.tree, "hub": pubmedqa.hub_tree},
}
"""Source -> layout, the default first -> maker of its folder from a seed."""

_FILE_TIME = 1_577_836_800
"""2020-01-01, so that two runs give the same tree, times included."""


def layout_names() -> list[str]:
    """List the names of layouts that any source has, sorted."""
    return sorted({name for makers in TREES.values() for name in makers})


def write(out: Path, seed: int = 0, layout: str | None = None) -> dict[str, int]:
    """Write one folder per source into `out` and give the number of upstream rows in each.

    `out` appears when it is complete; it may be an empty folder before.

    Args:
        out: folder to write.
        seed: equal seeds give equal bytes.
        layout: the layout of each source that has one of this name; None and the others take their default.

    Raises:
        UsageError: no source has such a layout, or `out` holds something or cannot be made.
        WorkError: writing fails on its way.
    """
    if layout is not None and layout not in layout_names():
        known = ", ".join(layout_names())
        raise UsageError(f"layout {layout!r} is unknown{nearest(layout, layout_names())}; there are {known}")
    makers = {source: trees.get(layout or "", next(iter(trees.values()))) for source, trees in TREES.items()}
    out = out.resolve()
    draft = out.with_name(f".{out.name}.{os.getpid()}.part")
    _make_room(out, draft)
    try:
        rows = {source: _write_tree(draft / source, make(seed)) for source, make in makers.items()}
        _set_times(draft)
        draft.replace(out)
    except OSError as error:
        raise WorkError(f"{out}: could not be written ({error.strerror}); free some space and try again") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return rows


def _make_room(out: Path, draft: Path) -> None:
    try:
        taken = out.exists() and (not out.is_dir() or any(out.iterdir()))
        if not taken:
            draft.mkdir(parents=True)
    except OSError as error:
        remedy = "name another folder with --out"
        raise UsageError(f"{out.parent}: cannot be written ({error.strerror}); {remedy}") from None
    if taken:
        raise UsageError(f"{out}: already there; name a new folder with --out, or remove it first")


def _write_tree(folder: Path, tree: Tree) -> int:
    for name, content in tree.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tree.rows


def _set_times(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for path in (Path(parent), *(Path(parent, name) for name in names)):
            os.utime(path, (_FILE_TIME, _FILE_TIME))
