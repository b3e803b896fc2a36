"""Multiple choice: the chosen option, by likelihood or in words."""

import re
from collections.abc import Sequence
from string import ascii_uppercase

from .normalization import words

_LETTER = re.compile(r"\s*\(?([A-Za-z])(?:[).:,]|\s*$)")


def choice_by_loglik(logliks: Sequence[float]) -> int:
    """Return the option with the highest sum of log-probabilities of its tokens; of equal ones the first."""
    return max(range(len(logliks)), key=lambda index: logliks[index])


def choice_by_loglik_per_token(logliks: Sequence[float], tokens: Sequence[int]) -> int:
    """Return the option with the highest mean log-probability of its tokens; of equal ones the first."""
    return choice_by_loglik([loglik / max(1, count) for loglik, count in zip(logliks, tokens, strict=True)])


def choice_by_loglik_per_char(logliks: Sequence[float], options: Sequence[str]) -> int:
    """Return the option with the highest sum of log-probabilities over its length in characters.

    This is the length by which lm-evaluation-harness divides for its `acc_norm`.
    """
    return choice_by_loglik([loglik / max(1, len(option)) for loglik, option in zip(logliks, options, strict=True)])


def parse_choice(prediction: str, choices: Sequence[str]) -> int | None:
    """Return the index of the option that a text names, or None if it names none or several.

    A letter at its beginning decides, alone or before `.`, `)`, `:` or `,`: the article in `A fracture` is none. Else
    the options whose words appear in the text in sequence, whole words only; an option inside another found one does
    not count.
    """
    letter = _LETTER.match(prediction)
    if letter:
        index = ascii_uppercase.find(letter.group(1).upper())
        return index if index < len(choices) else None
    predicted = words(prediction)
    named = {index: tuple(words(choice)) for index, choice in enumerate(choices) if _within(words(choice), predicted)}
    longest = [
        index
        for index, option in named.items()
        if not any(len(other) > len(option) and _within(option, other) for other in named.values())
    ]
    return longest[0] if len(longest) == 1 else None


def _within(part: Sequence[str], whole: Sequence[str]) -> bool:
    width = len(part)
    return width > 0 and any(
        tuple(whole[index : index + width]) == tuple(part) for index in range(len(whole) - width + 1)
    )
