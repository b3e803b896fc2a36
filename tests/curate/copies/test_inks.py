import numpy as np
import pytest
from PIL import ImageDraw

from medmix.curate.copies.inks import lifted
from medmix.curate.copies.tone import retoned

from ..pictures import picture, pixels

BELOW = pixels(picture(1)).astype(np.float32)
EVERYWHERE = np.ones(BELOW.shape, bool)


def arrow(level: int, opacity: float) -> np.ndarray:
    image = picture(1)
    layer = image.copy()
    ImageDraw.Draw(layer).line((40, 40, 180, 120), level, 6)
    return (1 - opacity) * BELOW + opacity * pixels(layer)


@pytest.mark.parametrize(("level", "opacity"), [(255, 1.0), (0, 1.0), (255, 0.5)])
def test_an_ink_is_taken_off(level, opacity):
    inked = arrow(level, opacity)
    clean = lifted(BELOW, inked, EVERYWHERE, 0.5)
    assert clean is not None
    assert np.abs(inked - BELOW).max() > 60
    assert np.abs(clean - BELOW).max() < 12


def test_another_picture_is_no_ink():
    assert lifted(BELOW, pixels(picture(2)).astype(np.float32), EVERYWHERE, 0.5) is None


def test_a_block_hides_a_picture_and_is_no_ink():
    hidden = BELOW.copy()
    hidden[40:100, 40:120] = 255
    assert lifted(BELOW, hidden, EVERYWHERE, 0.5) is None


def test_a_tone_is_learnt_whatever_its_curve():
    for curve in (lambda x: 255 - x, lambda x: np.clip(2 * x - 100, 0, 255), lambda x: 255 * np.sin(x / 40) ** 2):
        other = curve(BELOW).astype(np.float32)
        assert np.median(np.abs(retoned(BELOW, other, EVERYWHERE) - other)) < 12


def test_a_tone_needs_two_levels():
    assert retoned(BELOW, BELOW, np.zeros(BELOW.shape, bool)) is BELOW
