"""Each fault of `PLANTED`, found by looking at the files."""

import csv
import io
import json
import struct
import unicodedata
from collections import Counter

import imagehash
import pytest

from ..upstream import Row, Tree
from .planted import PLANTED

FINDERS = {}


def finds(fault):
    def keep(finder):
        FINDERS[fault] = finder
        return finder

    return keep


@pytest.fixture(scope="module")
def tree(root):
    return Tree(root)


@pytest.mark.parametrize("fault", PLANTED)
def test_the_files_have_each_fault_as_often_as_told(fault, tree):
    assert FINDERS[fault](tree) == PLANTED[fault]


def is_train(row: Row) -> bool:
    """Whether a build would train on the row: sources without splits are train as a whole."""
    return row.split in ("train", "train_2", "")


def header(content):
    """Width, height, bit depth and colour type of a PNG."""
    return struct.unpack(">IIBB", content[16:26])


@finds("truncated-jpeg")
def _(tree):
    return tree.with_bytes(lambda content: content[:2] == b"\xff\xd8" and content[-2:] != b"\xff\xd9")


@finds("empty-image-file")
def _(tree):
    return tree.with_bytes(lambda content: not content)


@finds("missing-image")
def _(tree):
    return tree.where(lambda source, row: row.image and ".." not in row.image and row.image not in tree.images[source])


@finds("error-page-as-image")
def _(tree):
    return tree.with_bytes(lambda content: content.startswith(b"<html"))


@finds("climbing-image-name")
def _(tree):
    return tree.where(lambda source, row: row.image.startswith("../"))


@finds("too-small-image")
def _(tree):
    return tree.with_image(lambda source, row: tree.decoded[source, row.image].size == (16, 16))


@finds("too-many-pixels")
def _(tree):
    return tree.films(lambda content: header(content)[:2] == (60_000, 60_000))


@finds("png-16-bit")
def _(tree):
    return tree.films(lambda content: header(content)[2] == 16)


@finds("png-rgba")
def _(tree):
    return tree.films(lambda content: header(content)[3] == 6)


@finds("png-palette")
def _(tree):
    return tree.films(lambda content: header(content)[3] == 3)


@finds("jpeg-cmyk")
def _(tree):
    return tree.with_image(lambda source, row: tree.decoded[source, row.image].mode == "CMYK")


@finds("jpeg-grey")
def _(tree):
    return tree.with_image(lambda source, row: source == "pathvqa" and tree.decoded[source, row.image].mode == "L")


@finds("jpeg-exif-rotated")
def _(tree):
    return tree.with_image(lambda source, row: tree.decoded[source, row.image].getexif().get(0x0112, 1) != 1)


@finds("empty-answer")
def _(tree):
    return tree.where(lambda source, row: not row.answer and source != "medmcqa")


@finds("no-report-text")
def _(tree):
    text = (tree.root / "iu_xray/indiana_reports.csv").read_text()
    return {"iu_xray": sum(not (row["findings"] or row["impression"]) for row in csv.DictReader(io.StringIO(text)))}


@finds("no-published-answer")
def _(tree):
    return tree.where(lambda source, row: source == "medmcqa" and not row.answer)


@finds("wrong-label")
def _(tree):
    text = (tree.root / "pmc_vqa/train.csv").read_text()
    chosen = [(row, row[f"Choice {row['Answer_label']}"]) for row in csv.DictReader(io.StringIO(text))]
    return {"pmc_vqa": sum(choice.strip() != f"{row['Answer_label']}:{row['Answer']}" for row, choice in chosen)}


@finds("german-caption")
def _(tree):
    return tree.where(lambda source, row: " und " in row.answer)


@finds("control-characters")
def _(tree):
    odd = set(map(chr, range(32))) - {"\t", "\n"}
    return tree.where(lambda source, row: bool(odd & set(row.answer)))


@finds("not-nfc")
def _(tree):
    return tree.where(lambda source, row: not unicodedata.is_normalized("NFC", row.answer))


@finds("no-licence")
def _(tree):
    tables = (tree.root / "roco").rglob("licences.txt")
    return {"roco": sum(path.read_text().count(",NO-CC CODE\n") for path in tables)}


@finds("repeated-row")
def _(tree):
    repeated = Counter()
    for source in ("pathvqa", "omnimedvqa", "pmc_vqa"):
        sound = [row for row in tree.rows[source] if (source, row.image) in tree.decoded]
        texts = Counter((tree.fingerprints[source, row.image], row.question, row.answer) for row in sound)
        repeated[source] = sum(count - 1 for count in texts.values())
    return repeated


@finds("copied-record")
def _(tree):
    copied = Counter()
    for source, other in (("vqa_med_2019", "vqa_rad"), ("pmc_oa", "roco")):
        first = {
            (tree.fingerprints[other, row.image], row.question, row.answer): tree.images[other][row.image]
            for row in tree.rows[other]
            if (other, row.image) in tree.decoded and is_train(row)
        }
        for row in filter(is_train, tree.rows[source]):
            if (source, row.image) in tree.decoded:
                content = first.get((tree.fingerprints[source, row.image], row.question, row.answer))
                copied[source] += content is not None and content != tree.images[source][row.image]
    return copied


@finds("altered-record")
def _(tree):
    sound = [row for row in tree.rows["roco"] if ("roco", row.image) in tree.decoded]
    cut = {
        (row.answer, tuple(side - 2 * (side // 16) for side in tree.decoded["roco", row.image].size)) for row in sound
    }

    def is_altered(source, row):
        return source == "pmc_oa" and (row.answer, tree.decoded["pmc_oa", row.image].size) in cut

    return tree.with_image(is_altered)


def held_out(tree):
    """Fingerprints of the images of test rows, with the sources that test on them."""
    found = {}
    for source, every in tree.rows.items():
        for row in every:
            if row.split == "test" and (source, row.image) in tree.decoded:
                found.setdefault(tree.fingerprints[source, row.image], set()).add(source)
    return found


@finds("leaked-image")
def _(tree):
    held = held_out(tree)
    return tree.with_image(
        lambda source, row: is_train(row) and bool(held.get(tree.fingerprints[source, row.image], set()) - {source})
    )


@finds("nearly-leaked-image")
def _(tree):
    def coarse(image):
        return imagehash.average_hash(image.convert("RGB"), 16)

    held = {key: coarse(tree.decoded[key]) for key in tree.decoded if key[0] == "pathvqa" and "test_" in key[1]}
    exact = {tree.fingerprints[key] for key in held}
    return tree.with_image(
        lambda source, row: (
            source == "roco"
            and tree.fingerprints[source, row.image] not in exact
            and min(coarse(tree.decoded[source, row.image]) - other for other in held.values()) <= 8
        )
    )


@finds("leaked-text")
def _(tree):
    def plain(row):
        return " ".join(row.question.lower().split()), row.answer.lower()

    held = {plain(row) for source in ("medqa", "medmcqa") for row in tree.rows[source] if row.split == "test"}
    return tree.where(
        lambda source, row: source in ("medqa", "medmcqa") and row.split == "train" and plain(row) in held
    )


@finds("image-in-train-and-test")
def _(tree):
    held = {
        (source, row.image) for source in tree.rows for row in tree.rows[source] if row.split == "test" and row.image
    }
    return tree.where(lambda source, row: row.split == "train" and (source, row.image) in held)


@finds("article-in-train-and-test")
def _(tree):
    tests = ("test", "test_clean", "test_2")
    held = {(source, row.article) for source in tree.rows for row in tree.rows[source] if row.split in tests}
    return tree.where(lambda source, row: is_train(row) and bool(row.article) and (source, row.article) in held)


def test_the_oddities_of_vqa_rad(root):
    found = json.loads((root / "vqa_rad/VQA_RAD Dataset Public.json").read_text())
    assert {type(row["qid"]) for row in found} == {int, str}
    assert {type(row["answer"]) for row in found} == {int, str}
    assert sum(row["answer_type"] == "CLOSED " for row in found) == 2
    assert sum("\t" in str(row["answer"]) for row in found) == 1
    assert any(", " in row["question_type"] for row in found)
    assert sum("question_rephrase" not in row for row in found) == 2


def test_the_oddities_of_vqa_med(root):
    folder = root / "vqa_med_2019"
    validation = (folder / "ImageClef-2019-VQA-Med-Validation/All_QA_Pairs_val.txt").read_bytes()
    test = (folder / "VQAMed2019Test/VQAMed2019_Test_Questions_w_Ref_Answers.txt").read_bytes()
    assert b"\r\n" in validation
    assert b"\r\n" not in test
    assert not validation.endswith(b"\n")
    assert not test.endswith(b"\n")
    assert b"#" in test


def test_the_oddities_of_slake_and_roco(root):
    found = json.loads((root / "slake/Slake1.0/test.json").read_text(encoding="utf-8"))
    assert len({tuple(row) for row in found}) == 2
    licences = "".join(path.read_text() for path in (root / "roco").rglob("licences.txt")).splitlines()
    assert any(line.count(",") > 2 for line in licences)
    assert {line.rsplit(",", 1)[1] for line in licences} == {
        *("CC", "CC BY", "CC BY-NC", "CC BY-NC-ND", "CC BY-NC-SA", "CC BY-ND", "CC BY-SA", "CC0", "NO-CC CODE")
    }
