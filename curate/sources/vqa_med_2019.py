"""VQA-Med 2019: the ImageCLEF task on modality, plane, organ and abnormality of MedPix images."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from ..errors import RowError
from ..record import ImageRef, Record, Rejected
from ..tables import common_spelling, text_lines, zip_members
from . import Layout, Shard, find_shards, make_records, yes_no_type

SOURCE = "vqa_med_2019"
TRAIN = "ImageClef-2019-VQA-Med-Training/All_QA_Pairs_train.txt"
VALIDATION = "ImageClef-2019-VQA-Med-Validation/All_QA_Pairs_val.txt"
TEST = "VQAMed2019Test/VQAMed2019_Test_Questions_w_Ref_Answers.txt"
TEST_UNANSWERED = "VQAMed2019Test/VQAMed2019_Test_Questions.txt"
TEST_ARCHIVE = "VQAMed2019Test/VQAMed2019_Test_Images.zip"
IMAGES = {
    TRAIN: "ImageClef-2019-VQA-Med-Training/Train_images",
    VALIDATION: "ImageClef-2019-VQA-Med-Validation/Val_images",
    TEST: "VQAMed2019Test/VQAMed2019_Test_Images",
}

Locate = Callable[[str], ImageRef]


def _shards(folder: Path) -> list[Shard]:
    found = find_shards(folder, {TRAIN: "train", VALIDATION: "validation"})
    if not (folder / TEST).exists():
        return found + find_shards(folder, {TEST_UNANSWERED: "test"})
    archive = (TEST_ARCHIVE,) if (folder / TEST_ARCHIVE).exists() else ()
    return [*found, Shard((TEST, *archive), "test")]


def read(folder: Path, shard: Shard) -> Iterator[Record | Rejected]:
    """Give a record for each line `image|question|answer`, in the test file `image|category|question|answer`.

    Of several right answers, which upstream joins by `#`, the first is the answer and the others are its
    alternatives. A test file without answers gives rows rejected as `no-answer`.
    The files in `QAPairsByCategory` repeat these rows and are not read.

    The format is that of https://github.com/abachaa/VQA-Med-2019.

    Raises:
        InputError: a file is no UTF-8 text, or the archive of test images no zip.
    """
    file, *archives = shard.files
    lines = text_lines(folder / file)
    if file == TEST_UNANSWERED:
        return make_records(SOURCE, shard, lines, _unanswered)
    locate = _in_archive(folder, archives[0]) if archives else partial(_in_folder, IMAGES[file])
    return make_records(SOURCE, shard, lines, partial(_record, shard, locate))


def _unanswered(row: int, line: str) -> Record:
    raise RowError("no-answer", f"the answers are in {PurePosixPath(TEST).name}")


def _in_folder(folder: str, image: str) -> ImageRef:
    return ImageRef(f"{folder}/{image}.jpg")


def _in_archive(folder: Path, archive: str) -> Locate:
    """Look up names by their last part: archives of this source differ in whether they have a folder."""
    members = {common_spelling(PurePosixPath(member).name): member for member in zip_members(folder / archive)}
    return lambda image: ImageRef(archive, member=members.get(common_spelling(f"{image}.jpg"), f"{image}.jpg"))


def _record(shard: Shard, locate: Locate, row: int, line: str) -> Record:
    image, question, answers = _fields(line, leading=2 if shard.split == "test" else 1)
    answer, *alternatives = [answer.strip() for answer in answers.split("#")]
    return Record(
        source=SOURCE,
        key=f"{image}/{shard.split}/{row}",
        split=shard.split,
        task="vqa",
        file=shard.files[0],
        row=row,
        group=f"medpix/{image}",
        question=question,
        answer=answer,
        alternatives=tuple(filter(None, alternatives)),
        answer_type=yes_no_type(answer),
        images=(locate(image),),
    )


def _fields(line: str, leading: int) -> tuple[str, str, str]:
    """Give image, question and answers of a line; the question, in the middle, may hold the separator itself."""
    *before, rest = line.split("|", leading)
    question, bar, answers = rest.rpartition("|")
    if len(before) < leading or not bar:
        raise RowError("unparsable-row", f"{line.count('|') + 1} fields, expected {leading + 2}")
    return before[0].strip(), question, answers


LAYOUTS = (Layout("original", f"{TRAIN}, {VALIDATION} and {TEST}", _shards, read),)
