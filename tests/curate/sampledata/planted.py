"""The faults planted in the sample data, in upstream rows; the package's docstring describes each one."""

from collections.abc import Mapping
from types import MappingProxyType

PLANTED: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "truncated-jpeg": {"roco": 1},
        "empty-image-file": {"roco": 1},
        "missing-image": {"roco": 1, "omnimedvqa": 6},
        "error-page-as-image": {"vqa_med_2019": 4},
        "climbing-image-name": {"vqa_rad": 1, "pmc_vqa": 1},
        "too-small-image": {"slake": 5},
        "too-many-pixels": {"iu_xray": 1},
        "png-16-bit": {"iu_xray": 1},
        "png-rgba": {"iu_xray": 1},
        "png-palette": {"iu_xray": 1},
        "jpeg-cmyk": {"pathvqa": 12},
        "jpeg-grey": {"pathvqa": 3},
        "jpeg-exif-rotated": {"vqa_rad": 3},
        "empty-answer": {"slake": 1},
        "no-report-text": {"iu_xray": 1},
        "no-published-answer": {"medmcqa": 12},
        "wrong-label": {"pmc_vqa": 1},
        "german-caption": {"roco": 1},
        "control-characters": {"roco": 1},
        "not-nfc": {"roco": 1},
        "no-licence": {"roco": 7},
        "repeated-row": {"pathvqa": 1, "omnimedvqa": 2, "pmc_vqa": 8},
        "copied-record": {"vqa_med_2019": 2, "pmc_oa": 1},
        "altered-record": {"pmc_oa": 1},
        "leaked-image": {"vqa_rad": 3, "vqa_med_2019": 4, "roco": 1, "omnimedvqa": 2},
        "nearly-leaked-image": {"roco": 1},
        "leaked-text": {"medqa": 1, "medmcqa": 1},
        "image-in-train-and-test": {"vqa_rad": 6, "slake": 9},
        "article-in-train-and-test": {"roco": 2, "pmc_vqa": 2},
    }
)
"""Fault -> source -> number of rows that have it; for pairs across splits and sources, of train rows."""
