"""Fingerprints in mapped files are those in memory."""

import numpy as np
import pytest

from medmix.curate.copies import mapped
from medmix.curate.copies.fingerprints import FINGERPRINT, Views


def some(counts, seed=0):
    """Give the bytes of views of images, of each as many as `counts` says."""
    draws = np.random.default_rng(seed)
    return [draws.bytes(count * FINGERPRINT.itemsize) for count in counts]


def same(one, other):
    assert (one.whole == other.whole).all() and len(one.whole) == len(other.whole)
    assert (one.others == other.others).all() and len(one.others) == len(other.others)
    assert one.owner.tolist() == other.owner.tolist()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(mapped, "BLOCK", 2)


def test_views_in_files_are_those_in_memory():
    data, further = some([1, 3, 2, 1, 4]), some([2, 1], 1)
    kept = mapped.of_bytes(iter(data), 5, 11)
    assert isinstance(kept.whole, np.memmap)
    same(kept, Views.of_bytes(data))
    same(mapped.take(kept, np.array([4, 0, 2])), Views.of_bytes([data[4], data[0], data[2]]))
    same(mapped.followed_by(kept, Views.of_bytes(further)), Views.of_bytes([*data, *further]))


def test_stacked_views_have_the_wholes_first():
    kept = mapped.of_bytes(iter(some([1, 3, 2])), 3, 6)
    found = mapped.stacked(kept)
    assert (found.prints == np.concatenate([kept.whole, kept.others])).all()
    assert found.image.tolist() == [0, 1, 2, 1, 1, 2]
    assert found.is_view.tolist() == [False, False, False, True, True, True]
    assert found.is_middle.tolist() == [False, False, False, True, False, True]


def test_no_images_need_no_file():
    same(mapped.of_bytes([], 0, 0), Views.of_bytes([]))


def test_the_files_have_no_name(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped.tempfile, "tempdir", str(tmp_path))
    kept = mapped.of_bytes(some([2]), 1, 2)
    assert list(tmp_path.iterdir()) == []
    assert kept.whole.nbytes == FINGERPRINT.itemsize
