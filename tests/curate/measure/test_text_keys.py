"""What is measured on the texts of records, and that it proposes all that `text_similarity` can find the same."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medmix.curate.measure import minhash
from medmix.curate.measure.shingles import hash_ngrams, hash_words, tokens, words
from medmix.curate.measure.text_keys import Texts, measure_texts
from medmix.curate.measure.text_similarity import similarity

LONG = "Axial computed tomography of the chest shows a round nodule beside the hilum of the lung"
WORDS = st.lists(
    st.sampled_from(["no", "effusion", "lung", "the", "seen", "5", "mg", "cardio", "vascular"]), max_size=14
)


def test_words_are_runs_of_letters_and_digits_numbers_and_han_characters() -> None:
    assert words("x-ray of 0.5 mg, t2_flair 左肺ct") == ["x", "ray", "of", "0.5", "mg", "t2", "flair", "左", "肺", "ct"]
    assert tokens("her2- and x-ray >5 %, -3") == ["her2", "-", "and", "x", "ray", ">", "5", "%", "-", "3"]


def test_ngrams_stay_within_their_text() -> None:
    flat, starts = hash_words([["a", "b", "c"], ["d"], ["b", "c"]])
    runs, begins = hash_ngrams(flat, starts, 2)
    assert begins.tolist() == [0, 2, 2, 3]
    assert runs[1] == runs[2] != runs[0]


def test_hashes_are_the_same_on_every_machine() -> None:
    flat, starts = hash_words([words(LONG.lower())])
    assert flat[:2].tolist() == [11431905281452931591, 14452385245720030580]
    assert minhash.bands(*hash_ngrams(flat, starts, 3))[0, :3].tolist() == [297011250, 2820389027, 838467418]


def test_bands_are_shared_as_often_as_the_formula_says() -> None:
    """1,000 pairs of sets of 100 with similarity 0.8: 89 in common, 11 of each one's own."""
    draws = np.random.default_rng(0).integers(0, 2**63, (1_000, 111), dtype=np.uint64)
    starts = np.arange(0, 100_001, 100)
    ones = minhash.bands(draws[:, :100].ravel(), starts)
    others = minhash.bands(draws[:, 11:].ravel(), starts)
    shared = (ones == others).any(axis=1).mean()
    assert 0.99 < shared <= 1
    strangers = (ones == np.roll(ones, 1, axis=0)).any(axis=1).mean()
    assert strangers == 0


def test_short_texts_have_no_signature() -> None:
    (short, long) = measure_texts([Texts("What is shown?", "a nodule", "", []), Texts("What is shown?", LONG, "", [])])
    assert (short.near_key, short.minhash) == (None, [])
    assert long.near_key is not None
    assert len(long.minhash) == minhash.BANDS


def test_the_question_key_stands_for_all_but_the_answer() -> None:
    first, other, options, untold = measure_texts(
        [
            Texts("Is it?", "yes", "", []),
            Texts("is it", "no", "", []),
            Texts("Is it?", "yes", "", ["yes", "no"]),
            Texts("", "A caption", "", []),
        ]
    )
    assert first.question_key == other.question_key != options.question_key
    assert untold.question_key is None


def test_options_count_in_any_order_for_what_is_near() -> None:
    one, other = measure_texts([Texts(LONG, "b", "", ["a", "b"]), Texts(LONG, "b", "", ["b", "a"])])
    assert one.text_key != other.text_key
    assert (one.near_key, one.minhash) == (other.near_key, other.minhash)


def test_options_differ_by_their_signs() -> None:
    one, other, same = measure_texts(
        [
            Texts("Which?", "a", "", choices)
            for choices in (["the (-) strand", "B cells", "T cells"], ["the strand", "B cells", "T cells"])
        ]
        + [Texts("Which?", "a", "", ["T cells", "B-cells.", "the (-) strand"])]
    )
    assert one.question_key == same.question_key != other.question_key


@given(WORDS, WORDS, st.sampled_from(["yes", "no"]), st.sampled_from(["yes", "no"]))
def test_what_says_the_same_has_the_same_key(one: list[str], other: list[str], yes: str, no: str) -> None:
    pair = Texts(" ".join(one), yes, "", []), Texts(" ".join(other), no, "", [])
    keys = measure_texts(pair)
    if similarity(pair[0].parts(), pair[1].parts(), 0.0) is not None and keys[0].minhash and keys[1].minhash:
        assert keys[0].near_key == keys[1].near_key


@given(st.lists(WORDS.map(" ".join), max_size=5))
def test_a_record_is_measured_as_if_it_were_alone(texts: list[str]) -> None:
    records = [Texts(text, "", LONG, [text]) for text in texts]
    assert measure_texts(records) == [measure_texts([record])[0] for record in records]
