"""Token ids of text in which some words are special tokens and the rest cannot spell one.

A tokenizer takes `</s>` in a question for the end token. Tokenising the question apart from its template prevents
that, but gives other ids than the whole text: SentencePiece prepends a blank to each part. So the whole text is
tokenised, in a copy of the tokenizer in which special tokens have names that no text contains.
"""

import json
from collections.abc import Iterable
from typing import NamedTuple

from tokenizers import AddedToken, Tokenizer
from transformers import PreTrainedTokenizerBase

from medmix.curate.errors import UsageError

MARK = "\ufdd0"
"""Around the names of special tokens; Unicode reserves it as no character, for use within a program."""


class Encoded(NamedTuple):
    """Token ids, and the start of each token in the plain text that was encoded."""

    ids: list[int]
    starts: list[int]


class MarkedTokenizer:
    """Tokenises text whose special tokens are marked.

    Args:
        tokenizer: of transformers.
        extra: further special tokens and their ids, as of images, which the tokenizer does not know.

    Raises:
        UsageError: it is not a tokenizer of the tokenizers library.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, extra: Iterable[tuple[str, int]] = ()) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            raise UsageError(
                f"{tokenizer.name_or_path}: the tokenizer has no tokenizer.json; a fast tokenizer is needed"
            )
        plain = json.loads(backend.to_str())
        added = {token.content: (token, number) for number, token in tokenizer.added_tokens_decoder.items()}
        special = {name: pair for name, pair in added.items() if pair[0].special}
        special |= {name: (AddedToken(name, special=True, normalized=False), number) for name, number in extra}
        plain |= {"post_processor": None, "truncation": None, "padding": None}
        plain["added_tokens"] = [token for token in plain["added_tokens"] if token["content"] not in special]
        self._tokenizer = Tokenizer.from_str(json.dumps(plain))
        self._tokenizer.add_special_tokens([_renamed(token) for token, _ in special.values()])
        self._names = sorted(special, key=len, reverse=True)
        numbers = {_marked(name): number for name, (_, number) in special.items()}
        numbers |= {name: number for name, (_, number) in added.items() if name not in special}
        self._ids = {self._tokenizer.token_to_id(name): number for name, number in numbers.items()}

    def mark(self, template: str) -> str:
        """Mark every special token that a template spells."""
        parts = [template]
        for name in self._names:
            parts = [piece for part in parts for piece in _cut(part, name)]
        return "".join(parts)

    def plain(self, text: str) -> str:
        """Give a text in which nothing is marked."""
        return text.replace(MARK, "\N{REPLACEMENT CHARACTER}")

    def encode(self, text: str) -> Encoded:
        """Tokenise a text made of marked and plain parts; no token is added before or after it."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return Encoded([self._ids.get(number, number) for number in encoding.ids], [s for s, _ in encoding.offsets])


def _marked(name: str) -> str:
    return f"{MARK}{name}{MARK}"


def _renamed(token: AddedToken) -> AddedToken:
    flags = {flag: getattr(token, flag) for flag in ("single_word", "lstrip", "rstrip", "normalized")}
    return AddedToken(_marked(token.content), special=True, **flags)


def _cut(part: str, name: str) -> list[str]:
    """Mark a name in a part of a template, unless the part is marked itself."""
    if part.startswith(MARK):
        return [part]
    pieces = part.split(name)
    found = [piece for piece in pieces[:1] if piece]
    for piece in pieces[1:]:
        found += [_marked(name), *([piece] if piece else [])]
    return found
