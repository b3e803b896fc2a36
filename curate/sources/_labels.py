"""The base of numeric labels: whether option A is number 0 or 1."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..tables import GET_AGAIN


def first_label(path: Path, labels: Iterable[Any], options: int, default: int) -> int:
    """Give the label of the first option, 0 or 1, as the labels of a whole file show it.

    Args:
        path: the file, for the message.
        labels: those of all rows; what is no number shows nothing.
        options: how many each question has.
        default: upstream's, where the labels fit both; a 0 alone may also mark rows without a published answer.

    Raises:
        InputError: the first option is 0 in some rows and the last one `options` in others.
    """
    seen = {label for label in labels if type(label) is int}
    if {0, options} <= seen:
        problem = f"numbers its {options} options both from 0 and up to {options}, so that the right ones are not known"
        raise InputError(path, problem, GET_AGAIN)
    if options in seen:
        return 1
    return 0 if 0 in seen and not seen.isdisjoint(range(1, options)) else default
