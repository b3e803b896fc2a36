"""Exact match of the normalised texts."""

from .normalization import normalise


def exact_match(prediction: str, reference: str) -> float:
    """Return 1 if the normalised texts are equal, else 0."""
    return float(normalise(prediction) == normalise(reference))
