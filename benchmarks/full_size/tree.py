"""The whole tree: a folder for each source and evaluation set of mixture v1."""

import multiprocessing
import os
from functools import partial
from pathlib import Path

from . import evaluation, exams, figures, films, questions
from .counts import Size
from .pictures import start

_TIME = 1_577_836_800
"""2020-01-01: the time of all files, so that two trees are equal and no file looks as if it were still written."""


def write_tree(root: Path, records: int, workers: int, seed: int = 0, members: int = 0) -> None:
    """Write the tree of so many records; equal arguments give equal bytes, whatever the number of workers.

    Args:
        root: a new folder.
        records: of all sources together.
        workers: processes.
        seed: of the pictures.
        members: the least number of members of PMC-OA's archive.
    """
    size = Size(records)
    with multiprocessing.get_context("spawn").Pool(workers, start, (seed,)) as pool:
        writers = {
            "vqa_rad": partial(questions.write_vqa_rad, pool=pool),
            "slake": partial(questions.write_slake, pool=pool),
            "pathvqa": partial(questions.write_pathvqa, pool=pool),
            "vqa_med_2019": partial(questions.write_vqa_med_2019, pool=pool),
            "roco": partial(figures.write_roco, pool=pool),
            "pmc_oa": partial(figures.write_pmc_oa, pool=pool, members=members),
            "pmc_vqa": partial(figures.write_pmc_vqa, pool=pool),
            "iu_xray": partial(films.write_iu_xray, pool=pool),
            "mimic_cxr": partial(films.write_mimic_cxr, pool=pool),
            "omnimedvqa": partial(questions.write_omnimedvqa, pool=pool),
            "ubench": partial(questions.write_ubench, pool=pool),
            "medqa": exams.write_medqa,
            "medmcqa": exams.write_medmcqa,
            "pubmedqa": exams.write_pubmedqa,
        }
        for source, write in writers.items():
            (root / source).mkdir(parents=True)
            write(root / source, size)
        evaluation.write_sets(root, size, pool)
    for parent, _, names in os.walk(root):
        for name in names:
            os.utime(Path(parent, name), (_TIME, _TIME))
