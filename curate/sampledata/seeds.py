"""Random numbers that depend on names only, so that one picture or row can change without changing another."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def stream(seed: int, *names: str) -> np.random.Generator:
    """Give the generator of (seed, names); equal arguments give equal numbers on every run."""
    digest = hashlib.sha256("\x1f".join((str(seed), *names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def pick(rng: np.random.Generator, items: Sequence[T]) -> T:
    """Draw one of the items."""
    return items[int(rng.integers(len(items)))]


def shuffled(rng: np.random.Generator, items: Sequence[T]) -> list[T]:
    """Give the items in drawn order."""
    return [items[int(place)] for place in rng.permutation(len(items))]
