"""The share of answers that are just the gold answer."""

from .normalization import normalise


def exact_match(prediction: str, gold: str) -> float:
    """Give 1 when the normalised texts are equal, else 0."""
    return float(normalise(prediction) == normalise(gold))
