import numpy as np

from medmix.curate.copies import grey

from ..pictures import letterboxed, picture, pixels


def test_even_borders_are_cut_and_the_picture_is_not():
    image = picture(1)
    assert np.array_equal(grey.trimmed(pixels(image)), pixels(image))
    assert np.array_equal(grey.trimmed(pixels(letterboxed(image, 255))), pixels(image))


def test_a_frame_inside_a_bar_is_cut():
    framed = np.pad(pixels(picture(1)), 7, constant_values=255)
    assert grey.trimmed(np.pad(framed, ((40, 40), (0, 0)))).shape == (208, 256)


def test_a_small_thing_on_an_even_background_keeps_its_background():
    slide = np.full((200, 200), 240, np.uint8)
    slide[80:130, 90:150] = pixels(picture(1))[:50, :60]
    assert grey.trimmed(slide).shape == (200, 200)


def test_the_working_picture_keeps_proportions():
    small = grey.working_picture(pixels(picture(1, 400, 200)))
    assert small is not None
    assert small.shape == (91, 181)


def test_tiny_even_and_stripe_like_pictures_have_none():
    image = pixels(picture(1))
    assert grey.working_picture(image[:19, :100]) is None
    assert grey.working_picture(np.full((200, 200), 7, np.uint8)) is None
    assert grey.working_picture(np.full((200, 200), 7, np.uint8) + (image[:200, :200] // 64)) is None
    assert grey.working_picture(np.tile(image[:40], (1, 3))[:, :400]) is None
    assert grey.working_picture(np.zeros((0, 0), np.uint8)) is None
