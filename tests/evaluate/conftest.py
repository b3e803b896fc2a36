"""What the tests of scores share with those of training: a small mix, and recipes that fit it."""

from ..train.conftest import _one_thread, mix, tiny

__all__ = ["_one_thread", "mix", "tiny"]
