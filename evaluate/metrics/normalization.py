"""What counts as a word: the form of a text in which answers are compared."""

import string
import unicodedata


def normalise(text: str) -> str:
    """Lower the case, strip punctuation, collapse white space.

    Punctuation is ASCII's (`string.punctuation`) and every character of a Unicode category P; it is
    removed, not replaced by a space. A text of nothing but punctuation keeps it, so that `+` and `-`
    stay different answers.
    """
    lower = " ".join(text.lower().split())
    return " ".join("".join(letter for letter in lower if not _is_punctuation(letter)).split()) or lower


def words(text: str) -> list[str]:
    """Give the words of a text: the normalised text split at white space; a Chinese text is one word."""
    return normalise(text).split()


def _is_punctuation(letter: str) -> bool:
    return letter in string.punctuation or unicodedata.category(letter).startswith("P")
