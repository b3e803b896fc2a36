"""Tell whether two texts have the same meaning: Jaccard similarity finds candidates, critical words decide.

In medicine one word reverses a text: `no effusion`, `T1`, `5 mg`, `left`. So of two similar texts one must be the
other with words added, none of them a number, a sign, a negation, a side, a degree or the like, nor next to one of
these. A word in place of another (`adenoma`, `carcinoma`) is never the same; one written apart (`cardio
mediastinal`) is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from .text import comparable

SHINGLE = 3
"""Words in a shingle."""

MIN_SHINGLES = 8
"""Texts with fewer shingles, ten words, are the same only when they are equal."""

_FUNCTION_WORD_LIST = "a an the s is are was were be been being there this that these those of in on at as 的"
_FUNCTION_WORDS = frozenset(_FUNCTION_WORD_LIST.split())

_CRITICAL_PREFIXES = ("hyper", "hypo")

_CRITICAL_WORDS = (
    "no not non none nor neither never nothing without absent absence negative positive deny denies denied "
    "exclude excludes excluded except free lack lacks lacking cannot unlikely likely possible possibly probable "
    "probably suspected suspicious questionable may might rule ruled resolved history true false only all any "
    "some or but with both either other new old prior previous "
    "left right bilateral unilateral upper lower middle superior inferior anterior posterior medial lateral "
    "proximal distal dorsal ventral internal external "
    "high low higher more less most least increase increases increased decrease decreases decreased elevated "
    "reduced greater larger smaller large small mild mildly moderate moderately severe severely slight slightly "
    "grossly markedly minimal minimally partial partially acute chronic benign malignant primary "
    "secondary before after above below pre post hyper hypo abnormal normal stable worse improved unchanged "
    "male female man woman boy girl "
    "zero one two three four five six seven eight nine ten single multiple first second third once twice half "
    "ii iii iv vi vii viii ix xi xii "
    "不 无 無 没 未 非 否 左 右 上 下 前 后 後 内 外 阴 阳 高 低 升 降 增 减 大 小 双 单 男 女 一 二 三 两"
)
_CRITICAL = frozenset(_CRITICAL_WORDS.split())


@lru_cache(maxsize=1 << 18)
def is_critical(word: str) -> bool:
    """Tell whether a token can reverse the meaning: a number, a sign, a single letter, a negation, a side, a degree."""
    alone = len(word) == 1 and word < "\u3040"
    return alone or word in _CRITICAL or word.startswith(_CRITICAL_PREFIXES) or any(map(str.isdigit, word))


@dataclass(frozen=True)
class Text:
    """One text of a record, with its forms for comparison."""

    raw: str

    @cached_property
    def form(self) -> str:
        """The comparable form: equal forms are equal texts."""
        return comparable(self.raw) if self.raw else ""

    @cached_property
    def tokens(self) -> list[str]:
        """The words and the signs between them."""
        return self.form.split()

    @cached_property
    def words(self) -> list[str]:
        """The words; `SHINGLE` consecutive ones form a shingle."""
        return [token for token in self.tokens if token[0].isalnum()]

    @property
    def is_long(self) -> bool:
        """True with at least `MIN_SHINGLES` shingles, repeated ones counted."""
        return len(self.words) >= MIN_SHINGLES + SHINGLE - 1

    @cached_property
    def shingles(self) -> frozenset[tuple[str, ...]]:
        """The set that Jaccard similarity is measured on."""
        return frozenset(zip(*(self.words[offset:] for offset in range(SHINGLE)), strict=False))

    @cached_property
    def content_tokens(self) -> list[str]:
        """The tokens without articles, forms of `to be` and the like."""
        return [token for token in self.tokens if token not in _FUNCTION_WORDS]

    @cached_property
    def critical(self) -> tuple[tuple[str, ...], ...]:
        """The critical tokens in their order, each with the content tokens next to it, to which it refers."""
        content = self.content_tokens
        padded = ["", *content, ""]
        return tuple(tuple(padded[place : place + 3]) for place, token in enumerate(content) if is_critical(token))


def jaccard(one: Text, other: Text) -> float:
    """Give the Jaccard similarity of the texts' shingles: shared ones over all, 0 to 1; 0 where neither has any."""
    union = len(one.shingles | other.shingles)
    return len(one.shingles & other.shingles) / union if union else 0.0


def similarity(ones: Sequence[Text], others: Sequence[Text], threshold: float) -> float | None:
    """Give the smallest Jaccard similarity of the paired texts of two records if all mean the same, else None.

    Equal texts have 1; others must both be long, have at least the similarity `threshold`, and fulfil the rule above.
    """
    scores = [_similarity(one, other) for one, other in zip(ones, others, strict=True)]
    passed = [score for score in scores if score is not None and score >= threshold]
    return min(passed) if passed and len(passed) == len(scores) else None


def _similarity(one: Text, other: Text) -> float | None:
    if one.form == other.form:
        return 1.0
    if not (one.is_long and other.is_long) or one.critical != other.critical:
        return None
    shorter, longer = sorted((one.content_tokens, other.content_tokens), key=len)
    same = _is_subsequence(shorter, longer) or "".join(shorter) == "".join(longer)
    return jaccard(one, other) if same else None


def _is_subsequence(shorter: Sequence[str], longer: Sequence[str]) -> bool:
    """Tell whether `shorter` is `longer` with words removed."""
    rest = iter(longer)
    return all(word in rest for word in shorter)
