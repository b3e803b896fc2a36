"""Pairs of images are compared once, by their pixels, and the verdicts outlive a killed build."""

import hashlib
import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medmix.curate.copies.confirm import Match
from medmix.curate.copies.fingerprints import fingerprint, view_fingerprints
from medmix.curate.copies.sketch import sketch
from medmix.curate.decide import comparisons
from medmix.curate.decide.comparisons import CANDIDATE_PAIRS, SketchedImage, confirm_related
from medmix.curate.decide.scan_images import ImageLocation
from medmix.curate.errors import WorkError
from medmix.curate.measure.images import pixel_digest
from medmix.curate.read.image_store import ImageStore
from medmix.curate.record import ImageRef

from ..pictures import FLIP, picture, pixels

BUDGET = 1_000_000


@pytest.fixture
def sides(tmp_path) -> dict[int, ImageLocation]:
    """Picture 1 twice, in two formats; mirrored; and a stranger."""
    picture(1).save(tmp_path / "a.png")
    picture(1).save(tmp_path / "b.bmp")
    picture(1).transpose(FLIP).save(tmp_path / "c.png")
    picture(2).save(tmp_path / "d.png")
    names = ("a.png", "b.bmp", "c.png", "d.png")
    return {place: location(tmp_path / name) for place, name in enumerate(names)}


def location(path: Path) -> ImageLocation:
    return ImageLocation(path.parent, ImageRef(path.name), hashlib.sha256(path.read_bytes()).hexdigest())


def candidate_pairs(*pairs: tuple[int, int]) -> pl.DataFrame:
    return pl.DataFrame([(*pair, True) for pair in pairs], CANDIDATE_PAIRS, orient="row")


def found(pairs: pl.DataFrame, sides, folder: Path, workers: int = 1) -> list[tuple[int, int, bool, bool]]:
    table = confirm_related(pairs, sides, BUDGET, folder, workers)
    return table.select("image", "other", "exact", "flipped").rows()


PAIRS = candidate_pairs((2, 3), (0, 1), (0, 2), (1, 3))


def test_only_copies_are_confirmed_and_equal_pixels_are_distinguished_from_altered_ones(sides, tmp_path):
    assert found(PAIRS, sides, tmp_path / "kept") == [(0, 1, True, False), (0, 2, False, True)]


@pytest.mark.parametrize("kind", ["copy", "panel", "overlap", "sequence", "unrelated"])
def test_related_images_of_every_kind_are_given_with_share_and_box(sides, tmp_path, monkeypatch, kind):
    match = Match(kind, 0.75, 0.5, flipped=False, turn=90, zoom=1.5, box=(0.1, 0.2, 0.6, 1.0))
    monkeypatch.setattr(comparisons.confirm, "compare", lambda one, other: match)
    table = confirm_related(candidate_pairs((0, 1), (0, 2)), sides, BUDGET, tmp_path / "kept", workers=1)
    exact = (0, 1, True, "copy", 1.0, 1.0, False, 0, 1.0, 0.0, 0.0, 1.0, 1.0)
    found = (0, 2, False, kind, 0.75, 0.5, False, 90, 1.5, 0.1, 0.2, 0.6, 1.0)
    assert table.rows() == ([exact] if kind == "unrelated" else [exact, found])


def test_a_pair_is_compared_once(sides, tmp_path, monkeypatch):
    first = found(PAIRS, sides, tmp_path / "kept")
    monkeypatch.setattr(comparisons, "compare", lambda task: pytest.fail("compared again"))
    renumbered = {number + 10: side for number, side in sides.items()}
    again = found(candidate_pairs((11, 13), (10, 11), (10, 12)), renumbered, tmp_path / "kept")
    assert [(one - 10, two - 10, *rest) for one, two, *rest in again] == first


def test_what_was_compared_before_a_kill_is_not_lost(sides, tmp_path, monkeypatch):
    monkeypatch.setattr(comparisons, "PAIRS_PER_TASK", 1)
    compare, done = comparisons.compare, []

    def killed(task):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(compare(task))
        return done[-1]

    monkeypatch.setattr(comparisons, "compare", killed)
    with pytest.raises(KeyboardInterrupt):
        found(PAIRS, sides, tmp_path / "kept")
    monkeypatch.setattr(comparisons, "compare", lambda task: done.append(compare(task)) or done[-1])
    assert found(PAIRS, sides, tmp_path / "kept") == [(0, 1, True, False), (0, 2, False, True)]
    assert len(done) == 4


def test_verdicts_of_another_version_are_put_away(sides, tmp_path):
    folder = tmp_path / "kept"
    found(PAIRS, sides, folder)
    (file,) = folder.iterdir()
    shutil.copy(file, folder / "0123456789ab-all.parquet")
    found(PAIRS, sides, folder)
    assert [path.name for path in folder.iterdir()] == [file.name]


def test_two_workers_find_the_same(sides, tmp_path, monkeypatch):
    monkeypatch.setattr(comparisons, "PAIRS_PER_TASK", 2)
    one, two = (found(PAIRS, sides, tmp_path / str(workers), workers) for workers in (1, 2))
    assert one == two


def test_an_image_that_changed_meanwhile_stops_the_work(sides, tmp_path):
    picture(3).save(tmp_path / "d.png")
    with pytest.raises(WorkError, match=r"d.png: the image changed while it was in use; run the same command again"):
        found(PAIRS, sides, tmp_path / "kept")


def test_a_sketch_does_for_an_image_that_is_not_here(sides, tmp_path):
    def sketched(seed: int) -> SketchedImage:
        shown = pixels(picture(seed))
        return SketchedImage(f"sha-{seed}", f"pixels-{seed}", view_fingerprints(shown), sketch(shown))

    data = (tmp_path / "a.png").read_bytes()
    same = SketchedImage("other file", pixel_digest(data, BUDGET), sketched(1).prints, sketched(1).sketch)
    both = {**sides, 7: sketched(1), 8: sketched(9), 9: same}
    pairs = candidate_pairs((2, 7), (2, 8), (0, 9))
    assert found(pairs, both, tmp_path / "kept") == [(0, 9, True, False), (2, 7, False, True)]


def test_no_candidate_pairs(tmp_path):
    assert found(candidate_pairs(), {}, tmp_path / "kept") == []


def test_a_blank_image_has_no_fingerprint_and_no_sketch():
    blank = np.full((64, 64), 7, np.uint8)
    assert (fingerprint(blank)["width"], sketch(blank)) == (0, None)


def test_the_tasks_of_a_round_are_the_same_whatever_is_known(sides, tmp_path, monkeypatch):
    monkeypatch.setattr(comparisons, "PAIRS_PER_TASK", 2)
    folder = tmp_path / "kept"
    folder.mkdir()
    before = comparisons.tasks_of(PAIRS, sides, BUDGET, folder)
    assert [len(task.pairs) for task in before] == [2, 2]
    assert comparisons.unfinished(before, folder) == before
    comparisons.run_tasks(before[1:], workers=1)
    assert comparisons.tasks_of(PAIRS, sides, BUDGET, folder) == before
    assert comparisons.unfinished(before, folder) == before[:1]


def test_files_of_other_builds_stay_in_a_shared_folder(sides, tmp_path):
    folder = tmp_path / "kept"
    for pairs in (PAIRS[:2], PAIRS):
        confirm_related(pairs, sides, BUDGET, folder, workers=1, shared=True)
    assert len(list(folder.iterdir())) == 2
    assert found(PAIRS, sides, folder) == [(0, 1, True, False), (0, 2, False, True)]
    assert len(list(folder.iterdir())) == 1


def test_images_of_a_table_are_read_in_its_order_and_once(tmp_path, monkeypatch):
    content = [BytesIO() for _ in range(8)]
    for number, buffer in enumerate(content):
        picture(number // 2).save(buffer, "PNG", compress_level=number % 2 + 1)
    table = pa.table({"image": [{"bytes": buffer.getvalue(), "path": None} for buffer in content]})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=2)
    located = {
        row: ImageLocation(tmp_path, ImageRef("rows.parquet", row=row), hashlib.sha256(buffer.getvalue()).hexdigest())
        for row, buffer in enumerate(content)
    }
    read, store_read = [], ImageStore.read
    monkeypatch.setattr(ImageStore, "read", lambda self, ref: read.append(ref.row) or store_read(self, ref))
    pairs = candidate_pairs((0, 7), (0, 1), (0, 6), (2, 3), (2, 5), (2, 4), (4, 5), (6, 7))
    exact = [(row, row + 1, True, False) for row in (0, 2, 4, 6)]
    assert found(pairs, located, tmp_path / "at-once") == exact
    assert read == list(range(8))
    read.clear()
    monkeypatch.setattr(comparisons, "PREPARED", 3)
    assert found(pairs, located, tmp_path / "in-parts") == exact
    assert read == [0, 1, 6, 7, 2, 3, 4, 5]
