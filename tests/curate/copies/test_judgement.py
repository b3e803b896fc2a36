"""Difference decides: what two aligned pictures show differently, and what each shows beside the other."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont, ImageOps

from medmix.curate.copies.confirm import Match, compare, prepare, prepare_sketch
from medmix.curate.copies.sketch import sketch

from ..pictures import below, beside, chart, cropped, jpeg, picture, pixels, slices


def match(one: Image.Image, other: Image.Image) -> Match:
    return compare(prepare(pixels(one)), prepare(pixels(other)))


def kind(one: Image.Image, other: Image.Image) -> str:
    there, back = match(one, other), match(other, one)
    assert there.kind == back.kind
    return there.kind


def watermarked(image: Image.Image) -> Image.Image:
    """Lay a word over the picture in rows, white at 40 %."""
    layer = Image.new("L", image.size, 0)
    for y in range(0, image.height, image.height // 3):
        ImageDraw.Draw(layer).text((y % 60, y), "SAMPLE  SAMPLE", 102, ImageFont.load_default(size=image.width // 10))
    return Image.composite(Image.new("L", image.size, 255), image, layer)


COPIES = {
    "negative": ImageOps.invert,
    "half size, JPEG": lambda image: jpeg(image.resize((image.width // 2, image.height // 2)), 60),
    "narrow window": lambda image: image.point(lambda level: int(np.clip((level - 90) * 3, 0, 255))),
    "a quarter off each border": lambda image: cropped(image, 0.25, 0.25, 0.25, 0.25),
    "squeezed and cut": lambda image: cropped(image, 0.05, 0.05, 0.05, 0.05).resize((150, 240)),
    "15 degrees": lambda image: image.rotate(15, Image.Resampling.BICUBIC),
    "watermark": watermarked,
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_agrees_everywhere_but_for_its_tone_and_its_inks(name):
    assert kind(picture(4, 320, 256), COPIES[name](picture(4, 320, 256))) == "copy"


@pytest.mark.parametrize("alteration", [lambda i: jpeg(i, 60), lambda i: i.resize((330, 248)), ImageOps.invert])
def test_a_copy_of_a_chart_is_a_copy(alteration):
    assert kind(chart(20, 55, 90, 41, 70), alteration(chart(20, 55, 90, 41, 70))) == "copy"


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(5, 95), min_size=5, max_size=5), st.integers(0, 4), st.integers(5, 95))
def test_charts_with_one_other_value_are_two_findings(heights: list[int], place: int, value: int):
    other = [*heights]
    other[place] = value
    assert kind(chart(*heights), chart(*other)) == ("copy" if value == heights[place] else "unrelated")


def test_an_arrow_on_a_chart_may_be_part_of_it():
    marked = chart(20, 55, 90, 41, 70)
    ImageDraw.Draw(marked).line((300, 60, 340, 100), 0, 3)
    assert kind(chart(20, 55, 90, 41, 70), marked) == "unrelated"


def test_figures_of_which_one_panel_was_exchanged_overlap_in_the_others():
    panels = [picture(seed) for seed in (1, 2, 3)]
    one, other = (
        below(beside(*panels[:2], gutter=6), beside(panels[2], picture(last), gutter=6), gutter=6) for last in (4, 5)
    )
    found = match(one, other)
    assert (found.kind, round(found.share, 1)) == ("overlap", 0.7)


def test_a_smooth_panel_in_place_of_another_is_no_ink(real_data):
    slide = "histology_tiles/CMU-1-Small-Region.svs_Row_1051_Col_"
    names = [
        f"{slide}151.tif",
        "busi/Dataset_BUSI_with_GT/benign/benign (133).png",
        "busi/Dataset_BUSI_with_GT/benign/benign (306).png",
        "ham10000/HAM10000_images_part_1/ISIC_0028878.jpg",
        f"{slide}1351.tif",
        f"{slide}1651.tif",
        "brain_tumor_mri/Training/no_tumor/image(312).jpg",
        "brain_tumor_mri/Training/no_tumor/image(129).jpg",
        "busi/Dataset_BUSI_with_GT/malignant/malignant (176).png",
        "covid19_image_repository/png/2c35005f.png",
    ]
    *panels, film = (Image.open(real_data / name).convert("RGB").resize((256, 256)) for name in names)
    other = [*panels[:4], film, *panels[5:]]
    one, other = (
        below(*(beside(*some[row : row + 3], gutter=6) for row in (0, 3, 6)), gutter=6) for some in (panels, other)
    )
    assert match(one, other).kind != "copy"


@pytest.mark.parametrize("gutter", [0, 6])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_panel_of_a_figure_is_found_with_its_box(gutter, place):
    panels = [picture(seed) for seed in (1, 2, 3)]
    found = match(beside(*panels, gutter=gutter), panels[place])
    assert (found.kind, found.flipped, found.turn) == ("panel", False, 0)
    assert found.zoom == pytest.approx(3**0.5, rel=0.05)
    width = 3 * 256 + 2 * gutter
    left = place * (256 + gutter) / width
    assert found.box == pytest.approx((left, 0, left + 256 / width, 1), abs=0.02)


@pytest.mark.parametrize(("left", "right", "kind"), [(0, 0.5, "panel"), (0.55, 1, "panel"), (0, 0.7, "copy")])
def test_a_part_beside_a_seam_that_does_not_show_is_a_panel_if_it_is_half_or_less(left, right, kind):
    wide = picture(9, 500, 208)
    assert match(wide, wide.crop((round(left * 500), 0, round(right * 500), 208))).kind == kind


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ((170, 0, 330, 208), "panel"),  # the middle of three
        ((0, 0, 250, 104), "panel"),  # one of four
        ((120, 0, 380, 208), "copy"),  # half, but from the middle
        ((100, 40, 400, 168), "copy"),
    ],
)
def test_a_third_of_a_figure_at_two_sides_is_a_panel_and_what_is_in_the_middle_a_crop(box, kind):
    wide = picture(11, 500, 208)
    assert match(wide, wide.crop(box)).kind == kind


def test_a_squeezed_panel_with_an_even_band_within_is_one_panel():
    banded = np.array(picture(2, 420, 208))
    banded[60:70] = 255
    panel = Image.fromarray(banded)
    figure = beside(panel.resize((208, 208)), picture(3, 208, 208), picture(4, 208, 208), gutter=6)
    assert match(figure, panel).kind == "panel"


@pytest.mark.parametrize("share", [0.5, 0.6, 0.75])
def test_overlapping_tiles_overlap_by_their_share(share):
    wide = picture(9, 400, 208)
    tile = round(400 / (2 - share))
    one, other = wide.crop((0, 0, tile, 208)), wide.crop((400 - tile, 0, 400, 208))
    found = match(one, other)
    assert found.kind == "overlap"
    assert found.share == pytest.approx(share, abs=0.02)


def test_neighbouring_slices_are_a_sequence():
    stack = slices(3, 3)
    assert [kind(one, other) for one, other in pairwise(stack)] == ["sequence"] * 2


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_what_lies_in_one_corner_only_is_no_copy(seed: int):
    """A region of another picture, an eighth of the whole."""
    one = picture(seed)
    other = one.copy()
    other.paste(cropped(picture(seed + 20_000), 0, 0, 0.6, 0.7), (20, 20))
    assert kind(one, other) != "copy"


def test_small_pictures_are_compared_at_their_own_size():
    one, other = (picture(seed, 112, 112).resize((28, 28), Image.Resampling.BOX) for seed in (1, 2))
    assert kind(one, jpeg(one, 90)) == "copy"
    assert kind(one, other) == "unrelated"


def test_a_sketch_tells_pictures_and_refuses_charts():
    """Without grey levels and letters a chart with other data looks the same."""

    def by_sketch(one: Image.Image, other: Image.Image) -> str:
        kept = sketch(pixels(one))
        assert kept is not None
        return compare(prepare_sketch(kept), prepare(pixels(other), for_sketch=True)).kind

    assert by_sketch(picture(1), jpeg(picture(1), 70)) == "copy"
    assert by_sketch(picture(1), picture(2)) == "unrelated"
    assert by_sketch(chart(20, 55, 90, 41, 70), chart(20, 55, 90, 41, 71)) == "unrelated"
