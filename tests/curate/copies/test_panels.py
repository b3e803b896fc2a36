import numpy as np
import pytest

from medmix.curate.copies.drawings import is_drawing
from medmix.curate.copies.panels import find_layout, find_panels

from ..pictures import below, beside, chart, picture, pixels


@pytest.mark.parametrize("gutter", [0, 4, 12])
def test_a_figure_is_cut_at_gutters_and_seams_in_reading_order(gutter):
    rows = [beside(picture(seed), picture(seed + 1), gutter=gutter) for seed in (1, 3)]
    found = find_panels(pixels(below(*rows, gutter=gutter)))
    expected = [(0, 0, 0.5, 0.5), (0, 0.5, 0.5, 1), (0.5, 0, 1, 0.5), (0.5, 0.5, 1, 1)]
    assert len(found) == 4
    assert np.abs(np.array(found) - expected).max() < 0.04


def test_three_panels_of_other_widths():
    figure = beside(picture(1), picture(2), picture(3), gutter=6)
    assert [round(left, 2) for left, _, _, _ in find_panels(pixels(figure))] == [0, 0.34, 0.67]


def test_rows_of_panels_are_groups():
    rows = [beside(picture(seed), picture(seed + 1), gutter=6) for seed in (1, 3)]
    found = find_layout(pixels(below(rows[0], picture(5, 518, 208), gutter=6)))
    assert len(found.panels) == 3
    assert [[round(float(place), 1) for place in group] for group in found.groups] == [[0, 0, 1, 0.5]]


@pytest.mark.parametrize("seed", range(5))
def test_one_picture_has_no_panels(seed):
    assert find_panels(pixels(picture(seed))) == []


def test_tiny_pictures_have_no_panels():
    assert find_panels(np.zeros((3, 5), np.uint8)) == []


def test_charts_are_drawings_and_pictures_are_not():
    assert is_drawing(pixels(chart(20, 55, 90, 41, 70)))
    assert not any(is_drawing(pixels(picture(seed))) for seed in range(5))
