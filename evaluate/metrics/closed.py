"""Closed questions: parse yes, no or maybe from a free answer, by whole words."""

import re

from .exact import exact_match
from .normalization import normalise

LABELS: dict[str, tuple[str, ...]] = {
    "yes": ("yes", "yeah", "yep", "true", "是", "是的", "有", "包含", "存在", "对", "可以"),
    "no": ("no", "nope", "false", "否", "不", "不是", "没有", "无", "不包含", "不存在", "不对", "不可以"),
    "maybe": ("maybe",),
}
"""The words of each label, English and Chinese."""

_WHOLE_ONLY = ("不", "无", "对", "有", "否")
"""These characters are parts of many other words, so they count only as the whole answer."""

_LABEL_OF = {word: label for label, words in LABELS.items() for word in words}
_ENGLISH = "|".join(word for word in _LABEL_OF if word.isascii())
_CHINESE = "|".join(
    sorted((word for word in _LABEL_OF if not word.isascii() and word not in _WHOLE_ONLY), key=len, reverse=True)
)
_LABEL_WORDS = re.compile(rf"(?<![\w-])(?:{_ENGLISH})(?![\w-])|{_CHINESE}")


def label_of(reference: str) -> str | None:
    """Return the label of a reference, or None if it is another answer, as `left` or `CT`."""
    return _LABEL_OF.get(normalise(reference))


def parse_closed(prediction: str) -> str | None:
    """Return `yes`, `no` or `maybe`, or None if a prediction has none or several of them.

    A label at the beginning decides. Else the words of the text are looked through, whole words only: there is
    no `no` in `normal`, `nodule` or `non-contrast`. Of Chinese, which has no blanks, the longest word at a index
    counts: there is no 是 in 不是.
    """
    lower = " ".join(prediction.lower().split())
    whole = label_of(lower)
    if whole:
        return whole
    found = list(_LABEL_WORDS.finditer(lower))
    if found and found[0].start() == 0:
        return _LABEL_OF[found[0].group()]
    labels = {_LABEL_OF[match.group()] for match in found}
    return labels.pop() if len(labels) == 1 else None


def closed_accuracy(prediction: str, reference: str) -> float:
    """Return 1 if the prediction has the reference's label; for a reference that is no label, as `exact_match`."""
    label = label_of(reference)
    return exact_match(prediction, reference) if label is None else float(parse_closed(prediction) == label)


def closed_unparseable(prediction: str, reference: str) -> float:
    """Return 1 if the reference is a label and the prediction has none or several; `closed_accuracy` is 0 then."""
    return float(label_of(reference) is not None and parse_closed(prediction) is None)
