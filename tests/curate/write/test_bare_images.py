"""Images that may be published hold a picture and nothing else, and show the same pixels as upstream's file."""

import hashlib
import shutil
import struct
import zlib
from io import BytesIO

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from medmix.curate import mixtures
from medmix.curate.build import BuildOptions, build
from medmix.curate.check import check
from medmix.curate.measure.images import pixel_digest
from medmix.curate.write import bare_images
from medmix.curate.write.bare_images import bare
from medmix.curate.write.image_encoding import encode_image, original_sha256

SECRET = b"Subject 10000032, study 50414267"
BUDGET = 1_000_000


def picture(mode: str = "RGB", size: tuple[int, int] = (37, 23)) -> Image.Image:
    noise = np.random.default_rng(7).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


def encoded(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    out = BytesIO()
    (image or picture()).save(out, kind, **options)
    return out.getvalue()


def jpeg_with(segment: bytes, marker: int) -> bytes:
    """Put a segment behind the JFIF one."""
    data = encoded("JPEG")
    return data[:20] + bytes((0xFF, marker)) + struct.pack(">H", len(segment) + 2) + segment + data[20:]


def png_with(kind: bytes, body: bytes) -> bytes:
    """Put a chunk behind the header."""
    data = encoded("PNG")
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data[:33] + chunk + data[33:]


def rotated(orientation: int, **tags: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for place, text in enumerate(tags.values()):
        exif[0x010E + place] = text
    return encoded("JPEG", exif=exif)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"dpi": (72, 72)}])
def test_a_plain_jpeg_stays_as_it_is(mode, options):
    data = encoded("JPEG", picture(mode), **options)
    assert bare(data) == data
    assert encode_image(data, "a.jpg", BUDGET, is_public=True) == (data, "a.jpg")


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "I;16"])
def test_a_plain_png_stays_as_it_is(mode):
    image = picture("L").convert("I;16") if mode == "I;16" else picture(mode)
    data = encoded("PNG", image)
    assert bare(data) == data


def test_an_interlaced_png_stays_as_it_is():
    width, height = 11, 5
    rows = b""
    for left, top, across, down in bare_images._ADAM7:
        columns, lines = -(-(width - left) // across), -(-(height - top) // down)
        rows += (b"\0" + b"\x40" * columns) * lines if columns > 0 else b""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    data = bare_images._SIGNATURE + b"".join(bare_images._chunk(*chunk) for chunk in chunks)
    assert np.asarray(Image.open(BytesIO(data))).tolist() == [[0x40] * width] * height
    assert bare(data) == data


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_stays(orientation):
    data = rotated(orientation)
    assert bare(data) == data


def test_of_other_exif_the_orientation_stays():
    data = rotated(6, description=SECRET.decode())
    stored = bare(data)
    assert SECRET in data
    assert SECRET not in stored
    assert Image.open(BytesIO(stored)).getexif() == {0x0112: 6}
    assert pixel_digest(stored, BUDGET) == pixel_digest(data, BUDGET)


def test_a_mix_stores_the_bare_image_and_the_digest_of_upstreams_file(root, tmp_path):
    """What a scanner wrote into an image of SLAKE is not in the shard that is published, and the mix is sound."""
    sources = tmp_path / "sources"
    shutil.copytree(root / "slake", sources / "slake")
    path = next((sources / "slake").rglob("xmlab1/source.jpg"))
    data = path.read_bytes()
    path.write_bytes(data[:20] + b"\xff\xfe" + struct.pack(">H", len(SECRET) + 2) + SECRET + data[20:])
    out = tmp_path / "mix"
    build(mixtures.load("sample"), sources, out, BuildOptions(only=("slake",)))
    rows = [row for shard in (out / "data/slake").glob("*.parquet") for row in pq.read_table(shard).to_pylist()]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    held = [row["images"][0]["bytes"] for row in rows if row["image_sha256"] == [digest]]
    assert held
    assert not any(SECRET in image for image in held)
    assert [original_sha256(image) for image in held] == [digest] * len(held)
    assert check(out) == []


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
TEXT = PngImagePlugin.PngInfo()
TEXT.add_text("Patient", SECRET.decode(), zip=True)
UTF_16 = SECRET.decode().encode("utf-16-le")

DRESSED = {
    "comment": encoded("JPEG", comment=SECRET),
    "profile": encoded("JPEG", icc_profile=PROFILE + SECRET),
    "XMP": jpeg_with(b"http://ns.adobe.com/xap/1.0/\0" + SECRET, 0xE1),
    "Photoshop": jpeg_with(b"Photoshop 3.0\0" + SECRET, 0xED),
    "UTF-16": jpeg_with(UTF_16, 0xE3),
    "of an application": jpeg_with(SECRET, 0xE9),
    "comment that looks like ours": jpeg_with(f"{bare_images.KEY}:{'0' * 64}{SECRET.decode()}".encode(), 0xFE),
    "our note, forged": jpeg_with(f"{bare_images.KEY}:{'0' * 64}".encode(), 0xFE),
    "thumbnail": encoded("JPEG").replace(b"\0\1\0\1\0\0\xff", b"\0\1\0\1\1\1\xff", 1),
    "bytes after the end": encoded("JPEG") + SECRET,
    "one byte after the end": encoded("JPEG") + b"\0",
    "fill bytes": encoded("JPEG").replace(b"\xff\xdb", b"\xff\xff\xff\xdb", 1),
    "text of a PNG": png_with(b"tEXt", b"Comment\0" + SECRET),
    "packed text": encoded("PNG", pnginfo=TEXT),
    "UTF-8 text": png_with(b"iTXt", b"Title\0\0\0en\0\0" + SECRET),
    "EXIF of a PNG": png_with(b"eXIf", b"MM\0*" + SECRET),
    "profile of a PNG": encoded("PNG", icc_profile=PROFILE),
    "unknown chunk": png_with(b"prVt", SECRET),
    "chunk of wrong length": png_with(b"gAMA", SECRET),
    "lines of a JPEG": jpeg_with(SECRET, 0xDC),
    "another density": jpeg_with(b"JFIF\0\1\1\0SECR\0\0", 0xE0),
    "another gamma": encoded("PNG")[:33] + 2 * png_with(b"gAMA", b"SECR")[33:49] + encoded("PNG")[33:],
    "a palette beside colours": png_with(b"PLTE", SECRET[:30]),
    "transparent entries beside colours": png_with(b"tRNS", SECRET),
    "our note in a PNG, forged": png_with(b"tEXt", f"{bare_images.KEY}\0{'0' * 64}".encode()),
    "bytes after the end of a PNG": encoded("PNG") + SECRET,
    "pixels beyond the last row": b"",
    "bytes after the packed pixels": b"",
}


def png_with_pixels(change) -> bytes:
    """Change the packed pixels of a PNG."""
    chunks = list(bare_images._png_chunks(encoded("PNG")))
    packed = change(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    rest = [(b"IDAT", packed), (b"IEND", b"")]
    return bare_images._SIGNATURE + b"".join(bare_images._chunk(*chunk) for chunk in [chunks[0], *rest])


DRESSED["pixels beyond the last row"] = png_with_pixels(lambda data: zlib.compress(zlib.decompress(data) + SECRET))
DRESSED["bytes after the packed pixels"] = png_with_pixels(lambda data: data + SECRET)


@pytest.mark.parametrize("kind", DRESSED)
def test_everything_else_goes_and_the_pixels_stay(kind):
    data = DRESSED[kind]
    stored, _ = encode_image(data, "a", BUDGET, is_public=True)
    assert stored != data
    assert bare(stored, keep_note=True) == stored
    assert SECRET not in stored
    assert UTF_16 not in stored
    assert pixel_digest(stored, BUDGET) == pixel_digest(data, BUDGET)
    assert original_sha256(stored) == hashlib.sha256(data).hexdigest()
    assert encode_image(data, "a", BUDGET, is_public=True)[0] == stored


@pytest.mark.parametrize("kind", DRESSED)
def test_an_image_that_is_not_published_stays_as_upstream_had_it(kind):
    assert encode_image(DRESSED[kind], "a.jpg", BUDGET, is_public=False) == (DRESSED[kind], "a.jpg")


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "BMP", "WEBP"])
def test_another_format_is_stored_as_png(kind):
    data = encoded(kind, picture(), lossless=True) if kind == "WEBP" else encoded(kind)
    stored, name = encode_image(data, "a.x", BUDGET, is_public=True)
    assert name == "a.x.png"
    assert bare(stored, keep_note=True) == stored
    assert pixel_digest(stored, BUDGET) == pixel_digest(data, BUDGET)
    assert original_sha256(stored) == hashlib.sha256(data).hexdigest()


def test_a_file_is_bare_only_without_the_note_of_another():
    stored, _ = encode_image(DRESSED["comment"], "a", BUDGET, is_public=True)
    assert bare(stored, keep_note=True) == stored
    assert bare_images.KEY.encode() not in bare(stored)


@pytest.mark.parametrize(
    "data",
    [b"", b"GIF89a", b"\xff\xd8", b"\xff\xd8\xff", encoded("JPEG")[:-2], b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0\0\1"],
)
def test_what_is_no_such_file_is_none(data):
    assert bare(data) is None
    assert bare_images.noted_sha256(data) == ""
