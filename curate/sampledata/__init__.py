"""Miniature upstream trees of the sources, made by code: licence-free, seeded, in the upstream layouts.

No text or picture is taken from a real dataset. Pictures are drawn from a few facts (kind, plane, organ,
bright spots, their side) and the questions ask for those facts, so a model has something to learn.

What is wrong on purpose, so that each stage of a build is seen at work, with the upstream rows (train rows
where splits or sources meet) that have it; `PLANTED` holds the same numbers:

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
    copied-record              the pixels and text of VQA-RAD or ROCO    vqa_med_2019 2, pmc_oa 2
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
from .planted import PLANTED

__all__ = ["PLANTED", "TREES", "write"]

TREES: dict[str, Callable[[int], Tree]] = {
    "pathvqa": pathvqa.tree,
    "mimic_cxr": mimic_cxr.tree,
    "iu_xray": iu_xray.tree,
    "vqa_rad": vqa_rad.tree,
    "roco": roco.tree,
    "omnimedvqa": omnimedvqa.tree,
    "ubench": ubench.tree,
    "slake": slake.tree,
    "pmc_oa": pmc_oa.tree,
    "pmc_vqa": pmc_vqa.tree,
    "vqa_med_2019": vqa_med_2019.tree,
    "medqa": medqa.tree,
    "medmcqa": medmcqa.tree,
    "pubmedqa": pubmedqa.tree,
}
"""Source -> maker of its folder from a seed."""

_FILE_TIME = 1_577_836_800
"""2020-01-01, so that two runs give the same tree, times included."""


def write(out: Path, seed: int = 0) -> dict[str, int]:
    """Write one folder per source into `out` and give the number of upstream rows in each.

    `out` appears when it is complete; it may be an empty folder before. Raises `UsageError` where `out`
    holds something or cannot be made, `WorkError` when writing fails on its way.
    """
    out = out.resolve()
    draft = out.with_name(f".{out.name}.{os.getpid()}.part")
    _make_room(out, draft)
    try:
        rows = {source: _write_tree(draft / source, make(seed)) for source, make in TREES.items()}
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
