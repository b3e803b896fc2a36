"""DICOM films: what a viewer would show of them, what cannot be read, and what a mix holds of them."""

import gzip
import hashlib
import io
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medmix.curate import mixtures
from medmix.curate.build import BuildOptions, build
from medmix.curate.check import check
from medmix.curate.errors import RowError, UsageError
from medmix.curate.measure.images import decode_rgb, measure
from medmix.curate.read import dicom as dicoms
from medmix.curate.read.dicom import is_dicom
from medmix.curate.sampledata import mimic_cxr
from medmix.curate.sampledata.dicom import Window, dicom
from medmix.curate.write.image_encoding import encode_image, original_sha256

BUDGET = 100_000
RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
DEEP = RAMP.astype(np.uint16) * 16 + 8
EXPLICIT = pydicom.uid.ExplicitVRLittleEndian


def changed(data: bytes, **elements: Any) -> bytes:
    """Write a file again with other elements; None takes one out."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    for name, value in elements.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    out = io.BytesIO()
    dataset.save_as(out)
    return out.getvalue()


def with_syntax(data: bytes, syntax: str) -> bytes:
    """Claim another transfer syntax of the same length or a shorter one."""
    old = EXPLICIT.encode() + b"\0" * (len(EXPLICIT) % 2)
    head = b"UI" + struct.pack("<H", len(old)) + old
    new = syntax.encode() + b"\0" * (len(syntax) % 2)
    assert data.count(head) == 1
    longer = len(new) - len(old)
    data = data.replace(head, b"UI" + struct.pack("<H", len(new)) + new)
    (length,) = struct.unpack_from("<L", data, 140)
    return data[:140] + struct.pack("<L", length + longer) + data[144:]


def grey(data: bytes) -> np.ndarray:
    pixels = np.asarray(decode_rgb(data, BUDGET))
    assert (pixels[..., :1] == pixels).all()
    return pixels[..., 0]


def reason(data: bytes, max_pixels: int = BUDGET) -> tuple[str, str]:
    with pytest.raises(RowError) as caught:
        decode_rgb(data, max_pixels)
    return caught.value.reason, caught.value.evidence


def test_the_writer_of_the_samples_writes_what_pydicom_reads() -> None:
    data = dicom(DEEP[:, :15], "2.25.17", bits=12, inverted=True, window=Window(2048, 401))
    dataset = pydicom.dcmread(io.BytesIO(data))
    assert np.array_equal(dataset.pixel_array, DEEP[:, :15])
    assert (dataset.SOPInstanceUID, dataset.file_meta.MediaStorageSOPInstanceUID) == ("2.25.17", "2.25.17")
    assert (dataset.PhotometricInterpretation, dataset.BitsStored, dataset.Modality) == ("MONOCHROME1", 12, "CR")
    assert (dataset.WindowCenter, dataset.WindowWidth) == (2048, 401)
    assert changed(data) == data


def encoded(dataset: pydicom.Dataset) -> bytes:
    out = io.BytesIO()
    dataset.save_as(out)
    return out.getvalue()


def test_odd_numbers_of_bytes_are_filled_up() -> None:
    dataset = pydicom.dcmread(io.BytesIO(dicom(RAMP[:3, :5], "2.25.3", bits=8)))
    assert np.array_equal(dataset.pixel_array, RAMP[:3, :5])


def test_eight_bits_are_shown_as_they_are() -> None:
    assert np.array_equal(grey(dicom(RAMP[4:8], "2.25.1", bits=8)), RAMP[4:8])


def test_low_is_bright_in_monochrome1() -> None:
    assert np.array_equal(grey(dicom(RAMP, "2.25.1", bits=8, inverted=True)), 255 - RAMP)
    assert np.array_equal(grey(dicom(4095 - DEEP, "2.25.1", bits=12, inverted=True)), RAMP)


def test_deep_grey_is_stretched_and_not_clipped() -> None:
    assert np.array_equal(grey(dicom(DEEP, "2.25.1", bits=12)), RAMP)
    assert np.array_equal(grey(dicom(RAMP.astype(np.uint16) * 257, "2.25.1", bits=16)), RAMP)


@pytest.mark.parametrize(
    ("window", "shown"),
    [
        (Window(2048, 4096), [0, 64, 128, 191, 255]),
        (Window(2048, 2048), [0, 0, 128, 255, 255]),
        (Window(2048, 1), [0, 0, 255, 255, 255]),
    ],
)
def test_a_window_says_what_is_black_and_white(window: Window, shown: list[int]) -> None:
    values = np.array([[0, 1024, 2048, 3072, 4095]], np.uint16)
    assert grey(dicom(values, "2.25.1", bits=12, window=window)).tolist() == [shown]
    inverted = grey(dicom(values, "2.25.1", bits=12, window=window, inverted=True))
    assert inverted.tolist() == [[255 - value for value in shown]]


def test_a_picture_in_a_wide_window_is_not_stretched() -> None:
    values = np.array([[1024, 2048]], np.uint16)
    assert grey(dicom(values, "2.25.1", bits=12, window=Window(2048, 4096))).tolist() == [[64, 128]]


def test_the_rescaled_values_are_windowed() -> None:
    data = dicom(np.array([[0, 1024, 2048]], np.uint16), "2.25.1", bits=12, window=Window(0, 2048))
    rescaled = changed(data, RescaleSlope=1, RescaleIntercept=-1024)
    assert grey(rescaled).tolist() == [[0, 128, 255]]


def test_the_first_of_several_windows_counts() -> None:
    data = dicom(np.array([[0, 2048, 4095]], np.uint16), "2.25.1", bits=12, window=Window(2048, 4096))
    assert grey(changed(data, WindowCenter=[2048, 0], WindowWidth=[4096, 1])).tolist() == [[0, 128, 255]]


def test_a_look_up_table_comes_before_a_window() -> None:
    item = pydicom.Dataset()
    item.LUTDescriptor = [4, 0, 8]
    item.add_new("LUTData", "US", [0, 50, 100, 255])
    data = dicom(np.array([[0, 1, 2, 3, 4]], np.uint16), "2.25.1", bits=12, window=Window(2048, 2))
    assert grey(changed(data, VOILUTSequence=[item])).tolist() == [[0, 50, 100, 255, 255]]


def table(entries: int, first: int, bits: int, data: list[int] | bytes) -> pydicom.Dataset:
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [entries, first, bits])
    item.add_new("LUTData", "OW" if isinstance(data, bytes) else "US", data)
    return item


FIVE = np.array([[0, 1, 2, 3, 4]], np.uint16)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("name", ["VOILUTSequence", "ModalityLUTSequence"])
def test_the_range_of_a_table_is_that_of_its_data(name: str, bits: int) -> None:
    """Scanners write 16 bits into the descriptor of a table that ends at 200."""
    data = dicom(FIVE, "2.25.1", bits=12)
    item = table(4, 0, bits, [0, 50, 100, 200])
    assert grey(changed(data, **{name: [item]})).tolist() == [[0, 64, 128, 255, 255]]


@pytest.mark.parametrize("name", ["VOILUTSequence", "ModalityLUTSequence"])
@pytest.mark.parametrize(
    "item",
    [
        table(4, 0, 16, struct.pack("<4H", 0, 50, 100, 200)),
        table(4, 0, 8, bytes([0, 50, 100, 200])),
        table(4, 0, 8, [0 | 50 << 8, 100 | 200 << 8]),
        table(3, 0, 8, bytes([0, 50, 200, 0])),
    ],
    ids=["words", "bytes", "bytes in words", "an odd number of bytes"],
)
def test_tables_of_bytes_and_of_words(name: str, item: pydicom.Dataset) -> None:
    shown = grey(changed(dicom(FIVE, "2.25.1", bits=12), **{name: [item]})).tolist()
    assert shown in ([[0, 64, 128, 255, 255]], [[0, 64, 255, 255, 255]])
    assert (shown[0][2] == 255) == (item.LUTDescriptor[0] == 3)


def test_places_in_a_table_do_not_wrap_round() -> None:
    """Eight-bit pixels far above the first entry, and values above the last."""
    whole = table(0, 0, 16, struct.pack("<65536H", *range(65_536)))
    assert grey(changed(dicom(RAMP, "2.25.1", bits=8), VOILUTSequence=[whole])).max() == 1
    late = table(300, 100, 12, list(range(300)))
    values = np.array([[0, 100, 250, 399, 4000]], np.uint16)
    shown = grey(changed(dicom(values, "2.25.1", bits=12), VOILUTSequence=[late])).tolist()
    assert shown == [[0, 0, 128, 255, 255]]


def test_a_table_that_begins_below_zero() -> None:
    data = dicom(np.array([[0, 1024, 2048]], np.uint16), "2.25.1", bits=12)
    rescaled = changed(data, RescaleSlope=1, RescaleIntercept=-1024)
    item = table(2049, -1024, 12, list(range(2049)))
    assert grey(changed(rescaled, VOILUTSequence=[item])).tolist() == [[0, 128, 255]]
    unsigned = table(2049, 65_536 - 1024, 12, list(range(2049)))
    assert grey(changed(rescaled, VOILUTSequence=[unsigned])).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize(("slope", "intercept"), [("", ""), ("", -1024), (1, ""), (None, -1024)])
def test_an_empty_slope_is_1_and_an_empty_intercept_0(slope: Any, intercept: Any) -> None:
    data = dicom(np.array([[0, 1024, 2048]], np.uint16), "2.25.1", bits=12, window=Window(0, 2048))
    elements = {"RescaleSlope": slope, "RescaleIntercept": intercept}
    shown = grey(changed(data, **{name: value for name, value in elements.items() if value is not None})).tolist()
    assert shown == [[0, 128, 255]] if intercept else shown == [[128, 255, 255]]


def test_a_slope_of_1_leaves_eight_bits_as_they_are() -> None:
    data = dicom(RAMP[4:8], "2.25.1", bits=8)
    assert np.array_equal(grey(changed(data, RescaleSlope=1, RescaleIntercept=0)), RAMP[4:8])


@pytest.mark.parametrize("width", [0, ""])
def test_a_window_without_width_is_none(width: Any) -> None:
    data = dicom(DEEP, "2.25.1", bits=12, window=Window(2048, 400))
    assert np.array_equal(grey(changed(data, WindowWidth=width)), RAMP)
    two = changed(data, WindowCenter=[0, 2048], WindowWidth=["0", "4096"])
    assert grey(two)[0, 0] == 0 and grey(two)[15, 15] == 255


@pytest.mark.parametrize(("function", "shown"), [("LINEAR_EXACT", [0, 64, 128]), ("SIGMOID", [30, 69, 128])])
def test_other_functions_of_a_window(function: str, shown: list[int]) -> None:
    data = dicom(np.array([[0, 1024, 2048]], np.uint16), "2.25.1", bits=12, window=Window(2048, 4096))
    found = grey(changed(data, VOILUTFunction=function)).tolist()[0]
    assert np.allclose(found, shown, atol=1)


def test_signed_values() -> None:
    data = dicom(np.array([[-1000, 0, 1000]], np.int16).view(np.uint16), "2.25.1", bits=16)
    assert grey(changed(data, PixelRepresentation=1)).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize("syntax", [pydicom.uid.RLELossless, pydicom.uid.JPEG2000Lossless])
def test_compressed_files_have_the_pixels_of_plain_ones(syntax: str) -> None:
    plain = dicom(DEEP, "2.25.1", bits=12)
    dataset = pydicom.dcmread(io.BytesIO(plain))
    if syntax == pydicom.uid.RLELossless:
        dataset.compress(syntax)
    else:
        out = io.BytesIO()
        Image.fromarray(DEEP).save(out, "JPEG2000", irreversible=False, no_jp2=True)
        dataset.PixelData = pydicom.encaps.encapsulate([out.getvalue()])
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = syntax
    packed = encoded(dataset)
    assert packed[-512:] != plain[-512:]
    assert np.array_equal(grey(packed), RAMP)


def test_implicit_and_big_endian_files() -> None:
    dataset = pydicom.dcmread(io.BytesIO(dicom(RAMP, "2.25.1", bits=8)))
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    out = io.BytesIO()
    dataset.save_as(out, implicit_vr=True, little_endian=True)
    assert np.array_equal(grey(out.getvalue()), RAMP)


def test_the_first_frame_of_several() -> None:
    data = dicom(np.concatenate([RAMP, 255 - RAMP]), "2.25.1", bits=8)
    assert np.array_equal(grey(changed(data, Rows=16, NumberOfFrames=2)), RAMP)


def test_a_gzipped_file_is_that_file() -> None:
    plain = dicom(RAMP, "2.25.1", bits=8)
    packed = gzip.compress(plain, mtime=0)
    assert is_dicom(packed)
    assert measure(packed, BUDGET).pixel_sha256 == measure(plain, BUDGET).pixel_sha256
    assert measure(packed, BUDGET).sha256 != measure(plain, BUDGET).sha256


def test_a_gzip_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicoms, "MAX_BYTES", 2**20)
    bomb = gzip.compress(dicom(RAMP, "2.25.1", bits=8) + bytes(100 * 2**20))
    tracemalloc.start()
    assert reason(bomb) == ("unreadable-image", "gzip: grows beyond 1048576 bytes")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20


@pytest.mark.parametrize(
    "data", [gzip.compress(b"text" * 100, mtime=0), b"\x1f\x8bbroken", b"DICM", bytes(132), b"\xff\xd8\xff"]
)
def test_other_files_are_no_dicom(data: bytes) -> None:
    assert not is_dicom(data)


def test_the_pixel_budget_is_checked_before_anything_is_decoded() -> None:
    data = dicom(RAMP, "2.25.1", bits=8)
    assert decode_rgb(data, 256).size == (16, 16)
    assert reason(data, 255) == ("too-many-pixels", "256 pixels")
    claiming = changed(data, Rows=60_000, Columns=60_000)
    tracemalloc.start()
    assert reason(claiming) == ("too-many-pixels", "3600000000 pixels")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_a_transfer_syntax_without_a_decoder_is_named() -> None:
    data = with_syntax(dicom(RAMP, "2.25.1", bits=8), "1.2.840.10008.1.2.4.100")
    assert reason(data) == (
        "unreadable-image",
        "DICOM: transfer syntax MPEG2 Main Profile / Main Level has no decoder",
    )


def test_a_decoder_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels.decoders import JPEGLosslessSV1Decoder

    monkeypatch.setattr(JPEGLosslessSV1Decoder, "_available", {})
    why, evidence = reason(with_syntax(dicom(RAMP, "2.25.1", bits=8), pydicom.uid.JPEGLosslessSV1))
    assert why == "unreadable-image"
    assert evidence.startswith("DICOM: transfer syntax JPEG Lossless")
    assert "pylibjpeg" in evidence


def test_a_deflated_file_is_not_inflated() -> None:
    data = with_syntax(dicom(RAMP, "2.25.1", bits=8), pydicom.uid.DeflatedExplicitVRLittleEndian)
    assert reason(data)[1] == "DICOM: transfer syntax Deflated Explicit VR Little Endian is not read"


def test_colour_is_no_film() -> None:
    data = changed(dicom(RAMP, "2.25.1", bits=8), PhotometricInterpretation="PALETTE COLOR")
    assert reason(data)[1] == "DICOM: photometric interpretation PALETTE COLOR is no grey image"


@pytest.mark.parametrize("missing", ["Rows", "BitsAllocated", "PhotometricInterpretation", "PixelData"])
def test_a_missing_element_is_named(missing: str) -> None:
    why, evidence = reason(changed(dicom(RAMP, "2.25.1", bits=8), **{missing: None}))
    assert why == "unreadable-image"
    assert missing in evidence.replace("Pixel Data", "PixelData").replace("Bits Allocated", "BitsAllocated")


@pytest.mark.parametrize("keep", [132, 200, 400, 560])
def test_cut_short(keep: int) -> None:
    data = dicom(RAMP, "2.25.1", bits=8)
    assert keep < len(data)
    assert reason(data[:keep])[0] == "unreadable-image"


SEEDS = [
    dicom(RAMP, "2.25.1", bits=8),
    dicom(DEEP, "2.25.1", bits=12, window=Window(2048, 4096)),
    dicom(DEEP, "2.25.1", bits=16, inverted=True),
]


@settings(max_examples=200, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(132, 700), st.binary(min_size=1, max_size=4)), max_size=6),
    keep=st.floats(0.3, 1),
)
def test_mutated_bytes_give_an_image_or_a_row_error(seed: bytes, edits: list[tuple[int, bytes]], keep: float) -> None:
    data = bytearray(seed)
    for place, new in edits:
        data[place : place + len(new)] = new
    try:
        image = decode_rgb(bytes(data[: int(len(data) * keep)]), BUDGET)
    except RowError as error:
        assert error.reason in ("unreadable-image", "too-many-pixels")
        assert error.evidence
        assert " at 0x" not in error.evidence
    else:
        assert image.mode == "RGB"
        assert 0 < image.width * image.height <= BUDGET


def test_without_pydicom_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicoms, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"DICOM files need pydicom.*pip install 'medmix\[dicom\]'$"):
        decode_rgb(dicom(RAMP, "2.25.1", bits=8), BUDGET)


def test_a_mix_holds_the_pixels_as_png_and_the_digest_of_the_file() -> None:
    data = dicom(DEEP, "2.25.1", bits=12, window=Window(2048, 4096))
    held, name = encode_image(data, "film.dcm", BUDGET, is_public=False)
    facts, copy = measure(data, BUDGET), measure(held, BUDGET)
    assert name == "film.dcm.png"
    assert Image.open(io.BytesIO(held)).mode == "L"
    assert (copy.pixel_sha256, copy.phash) == (facts.pixel_sha256, facts.phash)
    assert original_sha256(held) == facts.sha256 != copy.sha256
    assert encode_image(data, "film.dcm", BUDGET, is_public=False) == (held, name)


def test_all_other_images_are_held_as_they_are(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.fromarray(RAMP).save(out, "PNG")
    assert encode_image(out.getvalue(), "film.png", BUDGET, is_public=False) == (out.getvalue(), "film.png")
    assert original_sha256(out.getvalue()) == measure(out.getvalue(), BUDGET).sha256
    assert original_sha256(b"anything") == "ee0874170b7f6f32b8c2ac9573c428d35b575270a66b757c2c0185d2bd09718d"


@pytest.mark.parametrize("place", [60, 150, -20])
def test_a_changed_byte_of_the_png_is_seen(place: int) -> None:
    data = dicom(DEEP, "2.25.1", bits=12)
    held = bytearray(encode_image(data, "film.dcm", BUDGET, is_public=True)[0])
    held[place] ^= 1
    assert original_sha256(bytes(held)) != measure(data, BUDGET).sha256


class TestMix:
    """A mix of the DICOM edition of MIMIC-CXR, as its user meets it."""

    @pytest.fixture
    def sources(self, tmp_path: Path) -> Path:
        for name, content in mimic_cxr.original_tree(0).files.items():
            path = tmp_path / "sources" / "mimic_cxr" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path / "sources"

    @pytest.fixture
    def built(self, sources: Path, tmp_path: Path) -> dict[str, Any]:
        return self.build(sources, tmp_path)

    def build(self, sources: Path, folder: Path) -> dict[str, Any]:
        document = build(mixtures.load("sample"), sources, folder / "mix", BuildOptions(only=("mimic_cxr",)))
        return dict(document["sources"]["mimic_cxr"])

    def test_every_film_can_be_loaded_and_names_its_file(
        self, sources: Path, built: dict[str, Any], tmp_path: Path
    ) -> None:
        assert (built["layout"], built["dataset"], built["kept"]) == ("original", "PhysioNet mimic-cxr", 40)
        rows = datasets.load_dataset(str(tmp_path / "mix"), split="train", cache_dir=str(tmp_path / "cache"))
        raw = rows.cast_column("images", datasets.List(datasets.Image(decode=False)))
        for row, held in zip(rows, raw, strict=True):
            for image, kept, digest in zip(row["images"], held["images"], row["image_sha256"], strict=True):
                (file,) = sources.rglob(kept["path"].removesuffix(".png"))
                assert hashlib.sha256(file.read_bytes()).hexdigest() == digest
                assert image.mode == "L"
                assert np.array_equal(image, grey(file.read_bytes()))
        assert check(tmp_path / "mix") == []
        assert "original-sha256" in (tmp_path / "mix" / "README.md").read_text()

    def test_another_film_under_a_digest_is_found(self, built: dict[str, Any], tmp_path: Path) -> None:
        (shard, *_) = sorted((tmp_path / "mix").glob("restricted/mimic_cxr/*.parquet"))
        table = pq.read_table(shard)
        rows = table.to_pylist()
        rows[0]["images"][0] = rows[2]["images"][0]
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), shard)
        name = shard.relative_to(tmp_path / "mix")
        findings = check(tmp_path / "mix")
        assert f"{name}: {rows[0]['id']}: its image bytes do not match their digests" in findings

    def test_a_film_that_no_list_names_and_a_report_that_changed_are_seen_by_the_next_build(
        self, sources: Path, built: dict[str, Any], tmp_path: Path
    ) -> None:
        film = next(sources.rglob("*.dcm"))
        film.with_name("stranger.dcm").write_bytes(film.read_bytes())
        (report, *_) = sources.rglob("*.txt")
        report.write_text("")
        again = self.build(sources, tmp_path)
        assert again["read"] == built["read"] + 1
        assert again["dropped_by_reason"] == {"empty-text": 1, "unparsable-row": 1}
