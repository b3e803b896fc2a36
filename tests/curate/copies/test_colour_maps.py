from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from medmix.curate.copies import confirm
from medmix.curate.copies.colour_maps import MAPS, brightness, colour_map
from medmix.curate.copies.fingerprints import Views, view_fingerprints
from medmix.curate.copies.neighbours import candidates
from medmix.curate.measure.images import decode_reduced

from ..pictures import picture, pixels

BUDGET = 10**8


def in_colours(grey: np.ndarray, name: str) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(cv2.applyColorMap(grey, MAPS[name][0])[..., ::-1]))


def as_jpeg(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


@pytest.mark.parametrize("name", MAPS)
def test_a_copy_in_the_colours_of_a_map_is_found(name):
    film = pixels(picture(1))
    shown = in_colours(film, name)
    assert colour_map(shown) == name
    for coloured in (brightness(shown), decode_reduced(as_jpeg(shown), BUDGET)):
        assert candidates(Views.of([view_fingerprints(film), view_fingerprints(coloured)])).tolist() == [[0, 1]]
        assert confirm.compare(confirm.prepare(film), confirm.prepare(coloured)).kind == "copy"


@pytest.mark.parametrize("name", MAPS)
def test_values_come_back_as_precisely_as_their_colours_are_looked_up(name):
    film = pixels(picture(1))
    difference = np.abs(brightness(in_colours(film, name)).astype(int) - film)
    assert np.percentile(difference, 99) <= 8


def test_other_pictures_are_shown_by_their_luminance():
    film = pixels(picture(1))
    figure = Image.new("RGB", (600, 300), "white")
    figure.paste(in_colours(film, "jet"), (20, 20))
    tinted = tint(film)
    for image in (figure, tinted, Image.fromarray(film).convert("RGB"), in_monotone_colours(film)):
        assert colour_map(image) is None
        assert np.array_equal(brightness(image), np.asarray(image.convert("L")))


def in_monotone_colours(grey: np.ndarray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(cv2.applyColorMap(grey, cv2.COLORMAP_HOT)[..., ::-1]))


def test_a_jpeg_photograph_has_the_luminance_of_its_decoder():
    tinted = tint(pixels(picture(1)))
    data = as_jpeg(tinted.resize((900, 900)))
    with Image.open(BytesIO(data)) as plain:
        plain.draft("L", (192, 192))
        assert np.array_equal(decode_reduced(data, BUDGET), np.asarray(plain))


def tint(grey: np.ndarray) -> Image.Image:
    return Image.merge("RGB", [Image.fromarray((grey * share).astype(np.uint8)) for share in (1.0, 0.7, 0.5)])
