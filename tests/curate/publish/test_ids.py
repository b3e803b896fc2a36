"""Ids of MIMIC-CXR: what is one, what only looks like one, and that the quick search misses none."""

import numpy as np
import pytest

from medmix.curate.publish.gate import ids, texts
from medmix.curate.write import manifest

from .test_gate import SHARD


@pytest.mark.parametrize(
    "text",
    [
        "PMID 15123456 and PMC10123456",
        "https://pubmed.ncbi.nlm.nih.gov/15123456/, pubmedqa/15123456, pubmed/15123456",
        "0.50414267 and 0.15123456",
        "mimic-cxr-jpg/2.1.0 of 12 March 2024, doi 10.13026/jsn5-t979",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "ep10000032 and s504142671",
        "50414268",
        "9c7e" * 16,
    ],
)
def test_what_only_looks_a_bit_like_an_id_is_free(text):
    assert not list(ids.find(text.encode(), np.array([15123456, 50414267])))


@pytest.mark.parametrize(
    "text", ["15123456", "study:50414267.", "x_50414267_y", "[15123456]", "1.50414267.jpg /15123456"]
)
def test_a_number_that_the_mix_knows_is_an_id(text):
    assert list(ids.find(text.encode(), np.array([15123456, 50414267])))


def test_the_size_of_a_file_is_no_id(prepared):
    document = manifest.read(prepared)
    document["files"][SHARD]["bytes"] = 50414267
    sizes, known = texts.sizes_of(document), np.array([50414267])
    assert list(texts.page_findings(b"num_bytes: 50414267", known, sizes)) == []
    assert list(texts.page_findings(b"num_bytes: 50414267", known, frozenset())) != []


def test_every_shape_contains_one_of_the_prefixes():
    film = b"02AA804E-bde0afdd-112c0b34-7bc16630-4e384014"
    named = (b"p10000032", b"P19999999", b"s50414267", b"S50000000", b"mimic_cxr/50414267", b"MIMIC-CXR/p10000032")
    for shape in (*named, film):
        assert ids.SHAPE.search(shape)
        assert ids.may_contain(b"a" + shape, with_numbers=False)
