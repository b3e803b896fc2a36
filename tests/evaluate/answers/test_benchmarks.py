import shutil
from pathlib import Path

import pytest

from medmix.curate.errors import RowError, UsageError, WorkError
from medmix.curate.record import ImageRef
from medmix.evaluate.answers import benchmarks
from medmix.evaluate.answers.images import QuestionImages
from medmix.train.recipes import load

from ...train.conftest import png

VISION = load("smoke-cpu").vision


@pytest.fixture
def image_store(tmp_path: Path) -> QuestionImages:
    return QuestionImages(tmp_path / "images", VISION)


def test_all_ten_are_read_from_their_upstream_layouts(sources: Path, image_store: QuestionImages) -> None:
    found = benchmarks.find_benchmarks(sources, ())
    read = benchmarks.read(found, image_store, skip_broken=True)
    counts = {name: sum(q.benchmark == name for q in read.questions) for name in benchmarks.SPLITS}
    assert list(counts) == [entry.source for entry in found]
    assert all(counts.values())
    subsets = {q.benchmark: set() for q in read.questions}
    for question in read.questions:
        subsets[question.benchmark] |= set(question.subsets)
    assert subsets["slake"] == {"en", "en/open", "en/closed", "zh", "zh/open", "zh/closed"}
    assert subsets["pathvqa"] == {"all", "open", "closed"}
    assert subsets["pmc_vqa"] == {"test", "test_clean", "test_2"}
    assert {q.benchmark for q in read.questions if q.options} == {
        "pmc_vqa", "omnimedvqa", "ubench", "medqa", "medmcqa", "pubmedqa"
    }  # fmt: skip
    assert any(len(q.references) > 1 for q in read.questions if q.benchmark == "vqa_med_2019")
    assert read.rejected["omnimedvqa"] == {"missing-image": 6}  # upstream's restricted sets have no images
    assert "omnimedvqa: rows of its test split skipped: 6 missing-image" in read.notes


def test_images_that_are_not_there_are_refused_unless_told_otherwise(
    sources: Path, image_store: QuestionImages
) -> None:
    found = benchmarks.find_benchmarks(sources, ("omnimedvqa",))
    with pytest.raises(UsageError) as refused:
        benchmarks.read(found, image_store, skip_broken=False)
    assert str(refused.value).startswith("omnimedvqa: 6 of ")
    assert "questions lack a readable image (first: " in str(refused.value)
    assert str(refused.value).endswith("fix that, or skip them with --skip-broken")


def test_names_and_folders_that_are_not_there(sources: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no benchmark 'pathvqe' \(did you mean 'pathvqa'\?\); known are pathvqa, "):
        benchmarks.find_benchmarks(sources, ("pathvqe",))
    with pytest.raises(UsageError, match="is not a folder"):
        benchmarks.find_benchmarks(tmp_path / "nowhere", ())
    with pytest.raises(UsageError, match=r"no folder under .* for slake \(medmix fetch downloads it"):
        benchmarks.find_benchmarks(tmp_path, ("slake",))
    with pytest.raises(UsageError, match="no benchmark under"):
        benchmarks.find_benchmarks(tmp_path, ())


def test_a_benchmark_without_its_test_rows_says_so(sources: Path, tmp_path: Path, image_store: QuestionImages) -> None:
    shutil.copytree(sources / "vqa_med_2019", tmp_path / "vqa_med_2019")
    answers = next((tmp_path / "vqa_med_2019").rglob("*_w_Ref_Answers.txt"))
    rows = answers.read_text(encoding="utf-8").splitlines()
    answers.rename(answers.with_name("VQAMed2019_Test_Questions.txt"))
    with pytest.raises(UsageError) as refused:
        benchmarks.read(benchmarks.find_benchmarks(tmp_path, ()), image_store, skip_broken=False)
    assert str(refused.value) == (f"vqa_med_2019: its test split has no usable question ({len(rows)} no-answer)")


def test_training_rows_are_counted_without_their_images(sources: Path) -> None:
    rows = list(benchmarks.training_questions(benchmarks.find_benchmarks(sources, ("slake", "medqa", "omnimedvqa"))))
    assert {(q.benchmark, q.language) for q in rows} == {("slake", "en"), ("slake", "zh"), ("medqa", "en")}


def test_real_rows(real_data: Path, image_store: QuestionImages) -> None:
    read = benchmarks.read(
        benchmarks.find_benchmarks(real_data, ("vqa_rad", "pathvqa", "medqa")), image_store, skip_broken=False
    )
    counts = {name: sum(q.benchmark == name for q in read.questions) for name in ("vqa_rad", "pathvqa", "medqa")}
    assert counts["vqa_rad"] == 151
    assert counts["medqa"] == 500
    assert counts["pathvqa"] > 100
    with pytest.raises(UsageError, match=r"slake: \d+ of \d+ questions lack a readable image"):
        benchmarks.read(benchmarks.find_benchmarks(real_data, ("slake",)), image_store, skip_broken=False)


def test_equal_pixels_are_one_picture(tmp_path: Path, image_store: QuestionImages) -> None:
    (tmp_path / "a.png").write_bytes(png((1, 2, 3)))
    (tmp_path / "b.png").write_bytes(png((1, 2, 3)))
    (tmp_path / "c.png").write_bytes(png((1, 2, 4)))
    keys = [image_store.add(tmp_path, ImageRef(name)) for name in ("a.png", "b.png", "c.png")]
    assert keys[0] == keys[1] != keys[2]
    assert image_store.add_bytes(png((1, 2, 4))) == keys[2]
    assert image_store.tensor(keys[0]).shape == (3, VISION.size, VISION.size)
    assert not image_store.tensor(keys[0]).equal(image_store.tensor(keys[2]))
    image_store.close()
    assert not image_store.folder.exists()


def test_a_broken_or_vanished_picture(tmp_path: Path, image_store: QuestionImages) -> None:
    (tmp_path / "cut.png").write_bytes(png((1, 2, 3))[:-30])
    with pytest.raises(RowError, match="unreadable-image"):
        image_store.add(tmp_path, ImageRef("cut.png"))
    (tmp_path / "a.png").write_bytes(png((1, 2, 3)))
    key = image_store.add(tmp_path, ImageRef("a.png"))
    (tmp_path / "a.png").unlink()
    with pytest.raises(WorkError, match="the image disappeared during the run"):
        image_store.tensor(key)
