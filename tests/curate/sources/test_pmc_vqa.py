"""PMC-VQA, both versions."""

import csv
from pathlib import Path

import pytest

from medmix.curate import sources
from medmix.curate.errors import InputError
from medmix.curate.read.image_store import ImageStore
from medmix.curate.record import ImageRef, Record, Rejected
from medmix.curate.sources import pmc_vqa

from .reading import by_split, records, rows, there, write

FIRST = {
    "Figure_path": "PMC1_F1.jpg",
    "Question": "Which organ?",
    "Answer": "Lung",
    "Choice A": " A:Liver ",
    "Choice B": " B:Lung ",
    "Choice C": " C:Heart ",
    "Choice D": "Spleen",
    "Answer_label": "B",
}
SECOND = {
    "index": "7",
    "Figure_path": "PMC1_F1.jpg",
    "Caption": "A caption\nof two lines",
    "Question": "Which organ?",
    **{name: FIRST[name] for name in FIRST if name.startswith("Choice")},
    "Answer": "B",
    "split": "train",
}


def write_csv(path: Path, *items: dict[str, str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, list(items[0]))
        out.writeheader()
        out.writerows(items)


def read(folder: Path, **change: str) -> Record | Rejected:
    """Read one row of the first version."""
    write_csv(folder / "train.csv", FIRST | change)
    (found,) = rows("pmc_vqa", folder, "original")
    return found


def test_sample_data(root: Path) -> None:
    folder = root / "pmc_vqa"
    assert there("pmc_vqa", folder) == ["original"]
    found = rows("pmc_vqa", folder, "original")
    files = {file: sum(row.file == file for row in found) for file in sorted({row.file for row in found})}
    assert files == {"test.csv": 20, "test_2.csv": 12, "test_clean.csv": 8, "train.csv": 81, "train_2.csv": 34}
    assert by_split(found) == {"train": 115, "test": 40}
    good = [row for row in found if isinstance(row, Record)]
    assert good[0] == Record(
        source="pmc_vqa",
        key="train/0",
        split="train",
        task="mcqa",
        file="train.csv",
        row=0,
        group="pmc/PMC99000201",
        question="What organ is shown in this image?",
        answer="chest",
        choices=("brain", "chest", "abdomen", "breast"),
        correct=1,
        answer_type="closed",
        images=(ImageRef("images.zip", member="images/PMC99000201_F1.jpg"),),
        attribution="PMC99000201",
    )
    assert [(row.key, row.reason, row.evidence) for row in found if isinstance(row, Rejected)] == [
        (
            "train/2",
            "unparsable-row",
            "the answer 'brain' is not option D of ('brain', 'breast', 'abdomen', 'liver')",
        )
    ]
    assert [row.key for row in good if not row.attribution] == ["train/80"]
    with ImageStore(folder) as store:
        assert all(store.read(row.images[0]) for row in good if row.attribution)


def test_second_version(tmp_path: Path) -> None:
    write_csv(tmp_path / "test_2.csv", SECOND)
    (tmp_path / "figures").mkdir()
    (row,) = records("pmc_vqa", tmp_path, "original")
    assert (row.key, row.split, row.answer, row.correct) == ("test_2/0", "test", "Lung", 1)
    assert row.choices == ("Liver", "Lung", "Heart", "Spleen")
    assert row.images == (ImageRef("figures/PMC1_F1.jpg"),)


def test_spelling_of_answer(tmp_path: Path) -> None:
    misspelt = {("Anwser" if name == "Answer" else name): text for name, text in FIRST.items()}
    write_csv(tmp_path / "train.csv", misspelt)
    (row,) = records("pmc_vqa", tmp_path, "original")
    assert row.answer == "Lung"


@pytest.mark.parametrize("answer", ["Lung", " Lung\xa0", '"Lung"', "B"])
def test_answer_that_is_the_option(answer: str, tmp_path: Path) -> None:
    row = read(tmp_path, Answer=answer)
    assert isinstance(row, Record)
    assert (row.answer, row.correct) == ("Lung", 1)


@pytest.mark.parametrize(
    ("change", "evidence"),
    [
        ({"Answer": "Liver"}, "the answer 'Liver' is not option B of ('Liver', 'Lung', 'Heart', 'Spleen')"),
        ({"Answer_label": "E"}, "the label is 'E', which names no option"),
        ({"Answer_label": ""}, "the label is '', which names no option"),
        ({"Answer_label": "AB"}, "the label is 'AB', which names no option"),
        ({"Choice C": " C: "}, "an option is empty: ('Liver', 'Lung', '', 'Spleen')"),
        ({"Choice A": ""}, "an option is empty: ('', 'Lung', 'Heart', 'Spleen')"),
    ],
)
def test_bad_row(change: dict[str, str], evidence: str, tmp_path: Path) -> None:
    row = read(tmp_path, **change)
    assert isinstance(row, Rejected)
    assert (row.key, row.split, row.reason, row.evidence) == ("train/0", "train", "unparsable-row", evidence)


def test_row_of_too_few_fields(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", ",".join(FIRST) + "\na,b\n")
    (row,) = rows("pmc_vqa", tmp_path, "original")
    assert isinstance(row, Rejected)
    assert row.evidence == "line 2: 2 fields, the header has 8"


def test_unusable_files(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "Figure_path,Question,Choice A,Choice B\n")
    with pytest.raises(InputError, match="lacks the columns Answer, Choice C, Choice D; it has"):
        rows("pmc_vqa", tmp_path, "original")
    write_csv(tmp_path / "train.csv", FIRST)
    write(tmp_path / "images.zip", "PK\3\4 cut short")
    with pytest.raises(InputError, match=r"images\.zip: is not a whole zip archive"):
        rows("pmc_vqa", tmp_path, "original")
    write(tmp_path / "train.csv", "")
    with pytest.raises(InputError, match="is empty"):
        rows("pmc_vqa", tmp_path, "original")


def test_header_without_any_known_column(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "a;b\n1;2\n")
    with pytest.raises(InputError, match=r"train\.csv: lacks the columns Figure_path, Question, .*; it has a;b; "):
        rows("pmc_vqa", tmp_path, "original")


def test_header_tells_the_version(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", SECOND)
    write_csv(tmp_path / "train_2.csv", FIRST)
    second, first = records("pmc_vqa", tmp_path, "original")
    assert (second.key, second.answer, second.images) == ("train/0", "Lung", (ImageRef("images_2.zip", "PMC1_F1.jpg"),))
    assert (first.key, first.answer, first.images) == ("train_2/0", "Lung", (ImageRef("images.zip", "PMC1_F1.jpg"),))
    (tmp_path / "images").mkdir()  # all figures were renamed with the tables
    assert [row.images for row in records("pmc_vqa", tmp_path, "original")] == [(ImageRef("images/PMC1_F1.jpg"),)] * 2


def test_pieces_of_a_long_file_give_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = ('a "quoted" word', "two\nlines", "é\r\n", 'a comma, "too"', "lone\rreturn")
    write_csv(tmp_path / "train_2.csv", *(SECOND | {"Question": question} for question in questions * 2))
    whole = records("pmc_vqa", tmp_path, "original")
    assert [row.question for row in whole] == list(questions * 2)
    for size in (1, 3, 5, 10):
        monkeypatch.setattr(pmc_vqa, "SHARD_ROWS", size)
        assert len(sources.layouts("pmc_vqa")[0].shards(tmp_path)) == -(-10 // size)
        assert records("pmc_vqa", tmp_path, "original") == whole


def test_pieces_where_a_lone_return_ends_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(tmp_path / "train.csv", *[FIRST] * 4)
    content = (tmp_path / "train.csv").read_bytes()
    write(tmp_path / "train.csv", content.replace(b"organ", b"org\ran", 2))
    whole = rows("pmc_vqa", tmp_path, "original")
    assert [isinstance(row, Rejected) for row in whole] == [True, True, True, True, False, False]
    monkeypatch.setattr(pmc_vqa, "SHARD_ROWS", 1)
    assert rows("pmc_vqa", tmp_path, "original") == whole
