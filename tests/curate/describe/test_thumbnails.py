"""The contact sheet of the card shows the first public images, and nothing else."""

import hashlib
import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from medmix.curate import shards
from medmix.curate.check import check
from medmix.curate.describe import cards, thumbnails
from medmix.curate.write import bare_images, manifest
from medmix.curate.write.features import mix_schema

from ...hostile import HARMLESS, HOSTILE, structure
from ..pictures import picture

README = manifest.README
DATASHEET = "datasheet.md"


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    out = BytesIO()
    image.save(out, kind)
    return out.getvalue()


def png(seed: int, width: int = 256, height: int = 208) -> bytes:
    return encoded(picture(seed, width, height))


def put(mix: Path, name: str, images: list[bytes | None]) -> str:
    """Write a shard of records `SOURCE/ROW`, each with one image or none."""
    source = name.split("/")[1]
    blank = dict.fromkeys(mix_schema().names)
    rows = [
        blank
        | {"id": f"{source}/{row}", "license": "CC-BY-4.0", "attribution": f"By {source} {row}"}
        | {"images": [] if image is None else [{"bytes": image, "path": f"{row}.png"}]}
        for row, image in enumerate(images)
    ]
    shards.write_rows(mix / name, mix_schema(), ((row, 1) for row in rows))
    return name


def ids(examples: list[thumbnails.Example]) -> list[str]:
    return [example.id for example in examples]


def tiles(sheet: bytes) -> list[np.ndarray]:
    pixels = np.asarray(Image.open(BytesIO(sheet)).convert("RGB"), float)
    side = thumbnails.SIDE
    rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
    return [
        pixels[row * side : (row + 1) * side, column * side : (column + 1) * side]
        for row in range(rows)
        for column in range(columns)
    ]


def test_the_tiles_are_the_images_of_the_listed_records_in_order(tmp_path):
    own = [png(seed) for seed in range(6)]
    names = [put(tmp_path, "data/a/train-0.parquet", own[:3]), put(tmp_path, "data/b/train-0.parquet", own[3:])]
    examples = thumbnails.choose(tmp_path, names)
    assert ids(examples) == ["a/0", "b/0", "a/1", "b/1", "a/2", "b/2"]
    assert [one.licence for one in examples[:2]] == ["CC-BY-4.0", "CC-BY-4.0"]
    shown = tiles(thumbnails.sheet(examples))
    assert len(shown) == 8  # two rows of four
    assert [tile.max() < 8 for tile in shown[6:]] == [True, True]
    for tile, place in zip(shown, (0, 3, 1, 4, 2, 5), strict=False):
        small = Image.open(BytesIO(own[place])).convert("RGB").resize((160, 130))
        assert np.abs(tile[15:145] - np.asarray(small, float)).mean() < 6
        assert tile[:12].max() < 16
        other = Image.open(BytesIO(own[place - 1])).convert("RGB").resize((160, 130))
        assert np.abs(tile[15:145] - np.asarray(other, float)).mean() > 20


def test_restricted_images_never_show(tmp_path):
    names = [put(tmp_path, "data/b/train-0.parquet", [png(1)]), put(tmp_path, "restricted/a/train-0.parquet", [png(2)])]
    assert ids(thumbnails.choose(tmp_path, names)) == ["b/0"]
    assert thumbnails.choose(tmp_path, names[1:]) == []


def test_images_in_which_nothing_is_seen_are_passed_over(tmp_path):
    uniform, tiny, stripe = (
        encoded(Image.new("L", (200, 200), 90)),
        png(1, 40, 40),
        encoded(picture(2).resize((50, 900))),
    )
    images = [None, b"no image", uniform, tiny, stripe, png(3), png(3), png(4)]
    names = [put(tmp_path, "data/a/train-0.parquet", images), put(tmp_path, "data/b/train-0.parquet", [png(4), png(5)])]
    assert ids(thumbnails.choose(tmp_path, names)) == ["a/5", "b/1", "a/7"]


def test_no_source_fills_the_sheet_and_equal_mixes_have_equal_sheets(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (24, 200, 200, 3), np.uint8)
    images = [encoded(Image.fromarray(one)) for one in noise]
    names = [put(tmp_path, f"data/{one}/train-0.parquet", images[4 * at : 4 * at + 4]) for at, one in enumerate("abc")]
    examples = thumbnails.choose(tmp_path, names)
    assert ids(examples) == ["a/0", "b/0", "c/0", "a/1", "b/1", "c/1", "a/2", "b/2"]
    assert ids(thumbnails.choose(tmp_path, names[:1])) == ["a/0", "a/1", "a/2"]
    first, again = thumbnails.sheet(examples), thumbnails.sheet(thumbnails.choose(tmp_path, names))
    assert first == again
    assert bare_images.bare(first) == first
    assert len(first) < 200_000


def test_only_the_first_row_groups_of_the_first_shards_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "ROW_GROUP_ROWS", 2)
    names = [put(tmp_path, "data/a/train-0.parquet", [None, png(0), png(1)])]
    assert pq.ParquetFile(tmp_path / names[0]).num_row_groups == 2
    names += [put(tmp_path, f"data/a/train-{place}.parquet", [None]) for place in (1, 2)]
    names += [put(tmp_path, "data/a/train-3.parquet", [png(2)])]
    assert ids(thumbnails.choose(tmp_path, names)) == ["a/1"]


def test_a_mix_of_texts_has_no_sheet_and_no_section(tmp_path, small_mix):
    name = put(tmp_path, "data/a/train-0.parquet", [None, None])
    document = manifest.read(small_mix)
    document["files"] = {name: next(facts for file, facts in document["files"].items() if file.endswith(".parquet"))}
    assert thumbnails.NAME not in cards.write(tmp_path, document)
    assert not (tmp_path / thumbnails.NAME).exists()
    assert "Examples" not in (tmp_path / README).read_text()
    assert "Examples" in cards.render(document, [thumbnails.Example("a/0", "x", picture(0))])[README]


def test_ids_and_licences_make_no_element_of_the_datasheet(small_mix):
    document = manifest.read(small_mix)

    def card(more: str) -> str:
        one = thumbnails.Example(f"a/0{more}", f"CC{more}", picture(0))
        return cards.render(document, [one, one])[DATASHEET]

    harmless = structure(card(HARMLESS))
    for more in HOSTILE.values():
        assert structure(card(more)) == harmless


def test_a_mix_has_the_sheet_of_its_shards_and_check_knows_it(small_mix, tmp_path):
    document = manifest.read(small_mix)
    examples = thumbnails.choose(small_mix, manifest.shards_of(document))
    assert f"]({thumbnails.NAME})" in (small_mix / README).read_text()
    assert examples
    listed = [f"{place}. `{example.id}`, " for place, example in enumerate(examples, 1)]
    datasheet = (small_mix / DATASHEET).read_text()
    assert [line for line in listed if line not in datasheet] == []
    assert (small_mix / thumbnails.NAME).read_bytes() == thumbnails.sheet(examples)
    copy = Path(shutil.copytree(small_mix, tmp_path / "mix", ignore=shutil.ignore_patterns(".work")))
    assert check(copy) == []
    mirrored = encoded(Image.open(copy / thumbnails.NAME).transpose(Image.Transpose.FLIP_LEFT_RIGHT), "JPEG")
    for data in (mirrored, (copy / thumbnails.NAME).read_bytes() + b"more", b"no picture"):
        (copy / thumbnails.NAME).write_bytes(data)
        document["files"][thumbnails.NAME]["sha256"] = hashlib.sha256(data).hexdigest()
        manifest.write(copy, document)
        assert check(copy) == [f"{thumbnails.NAME}: differs from what manifest and shards give; build the mix again"]


def test_another_coding_of_the_same_sheet_is_no_finding(tmp_path):
    examples = thumbnails.choose(tmp_path, [put(tmp_path, "data/a/train-0.parquet", [png(0), png(1)])])
    thumbnails.write(tmp_path, examples)
    pixels = Image.open(tmp_path / thumbnails.NAME)
    out = BytesIO()
    pixels.save(out, "JPEG", quality=85)
    (tmp_path / thumbnails.NAME).write_bytes(out.getvalue())
    assert out.getvalue() != thumbnails.sheet(examples)
    assert thumbnails.shows(tmp_path, examples)


@pytest.mark.parametrize("shape", [(48, 192), (192, 48), (3000, 800)])
def test_a_thumbnail_has_one_size(shape):
    small = thumbnails.thumbnail(encoded(picture(1).resize(shape)))
    assert small is not None
    assert small.size == (thumbnails.SIDE, thumbnails.SIDE)
