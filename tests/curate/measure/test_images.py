"""The canonical pixel form, with tiny images of each kind that upstreams hold."""

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import datasets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from medmix.curate.errors import RowError
from medmix.curate.measure.images import decode_reduced, decode_rgb, measure, pixel_digest

from ..pictures import picture

BUDGET = 1_000_000
RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def photo(width: int = 40, height: int = 24) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 6 % 256, y * 10 % 256, (x + y) * 3 % 256], axis=2).astype(np.uint8))


def png_header(width: int, height: int) -> bytes:
    """A PNG of 8-bit grey that claims a size and holds no pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (head, b"IDAT")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def reason(data: bytes, max_pixels: int = BUDGET) -> tuple[str, str]:
    with pytest.raises(RowError) as caught:
        decode_rgb(data, max_pixels)
    return caught.value.reason, caught.value.evidence


@pytest.mark.parametrize(
    ("data", "pixel"),
    [
        (encoded(Image.new("1", (4, 4), 1)), (255, 255, 255)),
        (encoded(Image.new("L", (4, 4), 90)), (90, 90, 90)),
        (encoded(Image.new("RGB", (4, 4), (9, 8, 7))), (9, 8, 7)),
        (encoded(Image.new("RGB", (4, 4), (9, 8, 7)), "BMP"), (9, 8, 7)),
        (encoded(Image.new("RGB", (4, 4), (9, 8, 7)), "PPM"), (9, 8, 7)),
        (encoded(Image.new("RGB", (4, 4), (9, 8, 7)), "TIFF", compression="tiff_lzw"), (9, 8, 7)),
        (encoded(Image.new("RGB", (4, 4), (9, 8, 7)), "WEBP", lossless=True), (9, 8, 7)),
        (encoded(Image.new("RGBA", (4, 4), (9, 8, 7, 0))), (9, 8, 7)),
        (encoded(Image.new("LA", (4, 4), (90, 0))), (90, 90, 90)),
        (encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 128))), (127, 127, 127)),
        (encoded(Image.new("LA", (4, 4), (0, 128))), (127, 127, 127)),
        (encoded(Image.new("RGB", (4, 4), (9, 8, 7)).quantize(4)), (9, 8, 7)),
        (encoded(Image.new("RGB", (4, 4), (9, 8, 7)).quantize(4), transparency=0), (9, 8, 7)),
        (encoded(Image.new("RGB", (4, 4), (9, 8, 7)), transparency=(9, 8, 7)), (9, 8, 7)),
        (encoded(Image.new("RGB", (4, 4), (9, 8, 7)).quantize(4), "GIF"), (9, 8, 7)),
        (encoded(Image.new("CMYK", (16, 16), (0, 0, 0, 255)), "JPEG"), (0, 0, 0)),
        (encoded(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "TIFF"), (255, 255, 255)),
    ],
)
def test_modes(data: bytes, pixel: tuple[int, int, int]) -> None:
    image = decode_rgb(data, BUDGET)
    assert image.mode == "RGB"
    assert image.getpixel((1, 1)) == pixel


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_sixteen_bit_keeps_its_grey_levels(kind: str, dtype: str) -> None:
    deep = Image.fromarray((RAMP.astype(np.uint16) * 17 + 300).astype(dtype))
    image = decode_rgb(encoded(deep, kind), BUDGET)
    assert np.array_equal(np.asarray(image)[..., 0], RAMP)


def test_sixteen_bit_ppm_keeps_its_grey_levels() -> None:
    data = b"P5 16 16 65535\n" + (RAMP.astype(np.uint16) * 200).astype(">u2").tobytes()
    assert np.array_equal(np.asarray(decode_rgb(data, BUDGET))[..., 1], RAMP)


@pytest.mark.parametrize(
    ("values", "grey"),
    [
        ([[0.0, 0.5, 1.0]], [[0, 128, 255]]),
        ([[3.0, 3.0, 3.0]], [[0, 0, 0]]),
        ([[np.nan, 1.0, 2.0]], [[0, 0, 255]]),
        ([[-np.inf, 1.0, np.inf]], [[0, 0, 0]]),
        ([[np.nan, np.nan, np.nan]], [[0, 0, 0]]),
        ([[-3e38, 0.0, 3e38]], [[0, 128, 255]]),
    ],
)
def test_float_tiff(values: list[list[float]], grey: list[list[int]]) -> None:
    data = encoded(Image.fromarray(np.array(values, dtype=np.float32)), "TIFF")
    assert np.asarray(decode_rgb(data, BUDGET))[..., 0].tolist() == grey


def with_tag(data: bytes, tag: int, value: int, new: int) -> bytes:
    """Change a tag of a little-endian TIFF that holds one short number."""
    old = struct.pack("<HHIHH", tag, 3, 1, value, 0)
    assert data.count(old) == 1
    return data.replace(old, struct.pack("<HHIHH", tag, 3, 1, new, 0))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_white_is_zero_in_a_tiff_that_says_so(dtype: str) -> None:
    tiff = encoded(Image.fromarray((RAMP * (1 if dtype == "uint8" else 257.0)).astype(dtype)), "TIFF")
    assert np.array_equal(np.asarray(decode_rgb(tiff, BUDGET))[..., 0], RAMP)
    inverted = with_tag(tiff, 262, 1, 0)
    assert np.array_equal(np.asarray(decode_rgb(inverted, BUDGET))[..., 0], 255 - RAMP)


def test_grey_with_premultiplied_alpha_is_read() -> None:
    grey = np.full((4, 4), 60, np.uint8)
    tiff = encoded(Image.merge("LA", [Image.fromarray(grey), Image.new("L", (4, 4), 128)]), "TIFF")
    premultiplied = with_tag(tiff, 338, 2, 1)
    assert Image.open(io.BytesIO(premultiplied)).mode == "La"
    assert decode_rgb(premultiplied, BUDGET).getpixel((0, 0)) == (187, 187, 187)  # 60 + 255 * (1 - 128 / 255)


def test_transparency_that_hides_everything_is_ignored() -> None:
    colours = photo()
    hidden = colours.convert("RGBA")
    hidden.putalpha(0)
    assert decode_rgb(encoded(hidden), BUDGET).tobytes() == colours.tobytes()
    hidden.putpixel((0, 0), (*colours.getpixel((0, 0)), 1))
    assert decode_rgb(encoded(hidden), BUDGET).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("level", "name"), [(0, "black"), (3, "black"), (252, "white"), (255, "white"), (4, "grey"), (128, "grey")]
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_an_image_of_one_brightness_is_named(level: int, name: str, kind: str) -> None:
    assert measure(encoded(Image.new("RGB", (64, 48), (level, level, level)), kind), BUDGET).uniform == name


def test_an_image_with_a_single_bright_pixel_is_not_uniform() -> None:
    image = Image.new("L", (64, 48))
    image.putpixel((9, 9), 4)
    assert measure(encoded(image), BUDGET).uniform == ""


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def with_chunk(png: bytes, name: bytes, content: bytes) -> bytes:
    """Add a chunk behind the header."""
    return png[:33] + png_chunk(name, content) + png[33:]


BROKEN_EXIF = b"MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x03\0\0\0\x01\0"
OVERSIZED_PROFILE = b"icc\0\0" + zlib.compress(bytes(2_000_000))


@pytest.mark.parametrize(
    "data",
    [
        with_chunk(encoded(photo()), b"iCCP", OVERSIZED_PROFILE),
        with_chunk(encoded(photo()), b"zTXt", b"key\0\0" + zlib.compress(bytes(2_000_000))),
        with_chunk(encoded(photo()), b"iCCP", b"icc\0\0" + zlib.compress(bytes(100)))[:60] + b"",
        encoded(photo(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0"),
    ],
)
def test_metadata_that_cannot_be_read_is_named_or_ignored_as_datasets_does(data: bytes) -> None:
    """Where `datasets` decodes the file, so does medmix; where it does not, the reason says what is broken."""
    decoder = datasets.Image()
    try:
        shown = decoder.decode_example({"bytes": data, "path": None})
    except Exception:  # whatever Pillow raises
        assert reason(data)[0] in ("broken-metadata", "unreadable-image")
    else:
        assert decode_rgb(data, BUDGET).tobytes() == shown.convert("RGB").tobytes()


@pytest.mark.parametrize("name", [b"iCCP", b"zTXt"])
def test_whole_pixels_in_broken_metadata(name: bytes) -> None:
    content = OVERSIZED_PROFILE if name == b"iCCP" else b"key\0\0" + zlib.compress(bytes(2_000_000))
    whole = with_chunk(encoded(photo()), name, content)
    assert reason(whole)[0] == "broken-metadata"
    assert "its pixels are whole" in reason(whole)[1]
    assert reason(whole[:-60])[0] == "unreadable-image"


def test_signed_tiff_is_stretched() -> None:
    data = encoded(Image.fromarray(np.array([[-1000, 0, 1000]], dtype=np.int32)), "TIFF")
    assert np.asarray(decode_rgb(data, BUDGET))[..., 0].tolist() == [[0, 128, 255]]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_exif_orientation_is_applied(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(photo(), kind, exif=exif)
    upright = decode_rgb(encoded(photo(), kind), BUDGET).transpose(Image.Transpose.ROTATE_270)
    assert decode_rgb(turned, BUDGET).tobytes() == upright.tobytes()
    assert measure(turned, BUDGET).width == 24


def test_first_frame_of_several() -> None:
    frames = [Image.new("L", (8, 8), grey) for grey in (10, 200)]
    for kind in ("GIF", "TIFF"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert decode_rgb(data, BUDGET).getpixel((0, 0)) == (10, 10, 10)


def test_measure_sees_through_the_container() -> None:
    grey = photo().convert("L")
    png, copy = measure(encoded(grey), BUDGET), measure(encoded(grey.convert("RGB")), BUDGET)
    assert png.sha256 != copy.sha256
    assert (png.pixel_sha256, png.phash) == (copy.pixel_sha256, copy.phash)
    assert (png.width, png.height, png.bytes) == (40, 24, len(encoded(grey)))


def test_pixel_digest_knows_the_size() -> None:
    digests = {measure(encoded(Image.new("L", size, 7)), BUDGET).pixel_sha256 for size in ((4, 9), (9, 4), (6, 6))}
    assert len(digests) == 3


def test_phash_of_a_smaller_copy_is_near_and_of_another_image_far() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (6, 6, 3), np.uint8)).resize((300, 300))
    whole, half, other = (
        int(measure(encoded(i), BUDGET).phash, 16) for i in (image, image.resize((150, 150)), image.rotate(90))
    )
    assert (whole ^ half).bit_count() <= 25 < (whole ^ other).bit_count()
    assert len(measure(encoded(image), BUDGET).phash) == 64


def test_budget_is_checked_before_anything_is_allocated() -> None:
    tracemalloc.start()
    assert reason(png_header(60_000, 60_000)) == ("too-many-pixels", "3600000000 pixels")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM"])
def test_budget_is_exact(kind: str) -> None:
    data = encoded(photo(40, 25), kind)
    assert decode_rgb(data, 1000).size == (40, 25)
    assert reason(data, 999)[0] == "too-many-pixels"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "GIF", "BMP", "WEBP", "PPM"])
def test_cut_short(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encoded(photo(200, 200), kind)
    assert reason(data[: len(data) // 2])[0] == "unreadable-image"
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 100, b"<html>not found</html>", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]
)
def test_not_an_image(data: bytes) -> None:
    assert reason(data) == ("unreadable-image", "unknown format or broken header")


def test_zero_sides() -> None:
    assert reason(b"P5 0 4 255\n")[0] == "unreadable-image"
    assert reason(png_header(0, 4))[0] == "unreadable-image"


def test_evidence_is_the_same_on_each_run() -> None:
    data = encoded(photo(), "TIFF")[:-40]
    assert reason(data) == reason(data)
    assert "0x" not in reason(data)[1]


SEEDS = [
    encoded(photo(), kind, **options)
    for kind, options in [("JPEG", {}), ("PNG", {}), ("GIF", {}), ("BMP", {}), ("WEBP", {}), ("PPM", {}), ("TIFF", {})]
] + [
    encoded(photo(), "TIFF", compression="tiff_lzw"),
    encoded(photo().convert("CMYK"), "JPEG"),
    encoded(Image.fromarray(RAMP.astype(np.uint16) * 9), "PNG"),
    encoded(photo().quantize(8), "PNG", transparency=1),
]


@settings(max_examples=200, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=4)), max_size=6),
    keep=st.floats(0, 1),
)
def test_mutated_bytes_give_an_image_or_a_row_error(seed: bytes, edits: list[tuple[int, bytes]], keep: float) -> None:
    data = bytearray(seed)
    for place, new in edits:
        place %= len(data)
        data[place : place + len(new)] = new
    check_total(bytes(data[: int(len(data) * keep) + 1]))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff", b"II*\0", b"GIF89a", b"BM", b"P6 ", b"RIFF"]))
def test_random_bytes_give_an_image_or_a_row_error(tail: bytes, magic: bytes) -> None:
    check_total(magic + tail)


def check_total(data: bytes) -> None:
    try:
        image = decode_rgb(data, 10_000)
    except RowError as error:
        assert error.reason in ("unreadable-image", "too-many-pixels")
        assert error.evidence
    else:
        assert image.mode == "RGB"
        assert 0 < image.width * image.height <= 10_000


def test_cmyk_jpeg_of_pathvqa(real_data: Path) -> None:
    for path in sorted((real_data / "pathvqa" / "images" / "test").glob("*.jpg")):
        with Image.open(path) as image:
            if image.mode == "CMYK":
                break
    else:
        pytest.fail("the sample holds no CMYK JPEG any more")
    pixels = np.asarray(decode_rgb(path.read_bytes(), 100_000_000))
    assert pixels.std() > 10  # neither all black nor all white
    assert pixels.mean() > 100  # a bright slide; read with its inks inverted it would be dark


def test_a_reduced_jpeg_is_grey_and_no_smaller_than_asked() -> None:
    assert decode_reduced(encoded(photo(1200, 800), "JPEG"), BUDGET).shape == (200, 300)
    assert decode_reduced(encoded(photo(1200, 700), "JPEG"), BUDGET).shape == (350, 600)
    assert decode_reduced(encoded(photo(1200, 800)), BUDGET).shape == (800, 1200)


def test_the_size_of_a_reduced_jpeg_is_that_of_the_upright_whole() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    facts = measure(encoded(photo(1200, 800), "JPEG", exif=exif), BUDGET)
    assert (facts.width, facts.height) == (800, 1200)


def test_only_images_whose_fingerprint_tells_little_have_a_digest_of_their_pixels() -> None:
    plain, rich = encoded(Image.new("L", (300, 300), 7)), encoded(picture(1))
    assert measure(plain, BUDGET).pixel_sha256 == pixel_digest(plain, BUDGET)
    assert measure(rich, BUDGET).pixel_sha256 == ""


def test_a_reduced_jpeg_that_is_cut_short_is_still_noticed() -> None:
    data = encoded(photo(1200, 800), "JPEG")
    with pytest.raises(RowError, match="unreadable-image"):
        decode_reduced(data[: len(data) * 9 // 10], BUDGET)
