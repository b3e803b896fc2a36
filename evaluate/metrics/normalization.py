"""The normalised form of a text in which answers are compared, and its words."""

import string
import unicodedata


def normalise(text: str) -> str:
    """Lower the case, strip punctuation, collapse white space.

    Punctuation is ASCII's (`string.punctuation`) and every character of a Unicode category P; it is
    removed, not replaced by a space. A text of nothing but punctuation keeps it, so that `+` and `-`
    stay different answers.
    """
    lower = " ".join(text.lower().split())
    return " ".join("".join(character for character in lower if not _is_punctuation(character)).split()) or lower


def words(text: str) -> list[str]:
    """Return the words of a text: the normalised text split at white space; a Chinese text is one word."""
    return normalise(text).split()


def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")
