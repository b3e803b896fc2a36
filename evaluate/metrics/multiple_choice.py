"""Multiple choice: which option was chosen, by likelihood or in words."""

import re
from collections.abc import Sequence
from string import ascii_uppercase

from .normalization import words

_LETTER = re.compile(r"\s*\(?([A-Za-z])(?:[).:,]|\s*$)")


def choice_by_loglik(logliks: Sequence[float]) -> int:
    """Give the option with the highest sum of log-probabilities of its tokens; of equal ones the first."""
    return max(range(len(logliks)), key=lambda place: logliks[place])


def choice_by_loglik_per_token(logliks: Sequence[float], tokens: Sequence[int]) -> int:
    """Give the option with the highest mean log-probability of its tokens; of equal ones the first."""
    return choice_by_loglik([loglik / max(1, count) for loglik, count in zip(logliks, tokens, strict=True)])


def choice_by_loglik_per_char(logliks: Sequence[float], options: Sequence[str]) -> int:
    """Give the option with the highest sum of log-probabilities over its length in characters.

    This is the length by which lm-evaluation-harness divides for its `acc_norm`.
    """
    return choice_by_loglik([loglik / max(1, len(option)) for loglik, option in zip(logliks, options, strict=True)])


def parse_choice(prediction: str, choices: Sequence[str]) -> int | None:
    """Give the place of the option that a text names, or None where it names none or several.

    A letter at its beginning decides, alone or before `.`, `)`, `:` or `,`: the article in `A fracture` is none. Else
    the options whose words stand in the text one after another, whole words only; one inside another that is there too
    does not count.
    """
    letter = _LETTER.match(prediction)
    if letter:
        place = ascii_uppercase.find(letter.group(1).upper())
        return place if place < len(choices) else None
    said = words(prediction)
    named = {place: tuple(words(choice)) for place, choice in enumerate(choices) if _within(words(choice), said)}
    longest = [
        place
        for place, option in named.items()
        if not any(len(other) > len(option) and _within(option, other) for other in named.values())
    ]
    return longest[0] if len(longest) == 1 else None


def _within(part: Sequence[str], whole: Sequence[str]) -> bool:
    width = len(part)
    return width > 0 and any(
        tuple(whole[place : place + width]) == tuple(part) for place in range(len(whole) - width + 1)
    )
