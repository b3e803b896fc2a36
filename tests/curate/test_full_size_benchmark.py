"""The generated trees of `benchmarks/full.py`: the real readers read them, in upstream's proportions."""

import hashlib
import io
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.full_size import counts
from benchmarks.full_size.tree import write_tree
from medmix.curate.evaluationsets import file_filter
from medmix.curate.mixtures import load
from medmix.curate.read import inputs
from medmix.curate.read.image_store import ImageStore
from medmix.curate.record import Record, Rejected
from medmix.curate.sources import layouts

RECORDS = 300


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("full") / "tree"
    write_tree(root, RECORDS, workers=1)
    return root


@pytest.fixture(scope="module")
def rows(root: Path) -> dict[str, list[Record | Rejected]]:
    found, missing = inputs.find(load("v1"), root)
    assert not missing
    read = {}
    for entry in found:
        layout = next(layout for layout in layouts(entry.source) if layout.name == entry.layout)
        read[entry.source] = [row for shard in entry.shards for row in layout.read(entry.folder, shard)]
    return read


def test_no_row_is_rejected_but_those_without_a_published_answer(rows: dict[str, list[Record | Rejected]]) -> None:
    rejected = Counter((row.source, row.reason) for part in rows.values() for row in part if isinstance(row, Rejected))
    assert rejected == {("medmcqa", "no-answer"): 1}


def test_sources_have_upstreams_proportions(rows: dict[str, list[Record | Rejected]]) -> None:
    share = RECORDS / sum(counts.ROWS.values())
    assert rows.keys() == counts.ROWS.keys()
    for source, part in rows.items():
        # so small a tree has one image a split of VQA-Med 2019, with four questions
        assert abs(len(part) - counts.ROWS[source] * share) < 9, source


def test_each_record_has_its_images(root: Path, rows: dict[str, list[Record | Rejected]], tmp_path: Path) -> None:
    sides = Counter()
    for source, part in rows.items():
        with ImageStore(root / source, tmp_path) as store:
            for row in part:
                for ref in row.images if isinstance(row, Record) else ():
                    image = Image.open(io.BytesIO(store.read(ref)))
                    image.load()
                    sides[max(image.size)] += 1
    assert len(sides) > 20
    assert sides[1024] > 30


def test_most_images_are_unlike_and_some_are_shared(
    root: Path, rows: dict[str, list[Record | Rejected]], tmp_path: Path
) -> None:
    holders: dict[str, set[str]] = {}
    for source in ("pmc_oa", "pmc_vqa", "roco"):
        with ImageStore(root / source, tmp_path) as store:
            for row in rows[source]:
                digest = hashlib.sha256(store.read(row.images[0])).hexdigest()
                holders.setdefault(digest, set()).add(source)
    shared = sum(len(sources) > 1 for sources in holders.values())
    assert 0 < shared < 0.05 * len(holders)
    assert len(holders) > 0.9 * (len(rows["pmc_oa"]) + len(rows["roco"]))


def test_all_evaluation_sets_are_found(root: Path) -> None:
    sets = [item for item in load("v1").evaluation if item.images]
    assert {item.images for item in sets} == counts.ITEMS.keys()
    for item in sets:
        assert len(file_filter.paths(root / item.images, item.file_filter)) == counts.Size(RECORDS).items(item.images)


def test_equal_trees_from_any_number_of_workers(root: Path, tmp_path: Path) -> None:
    write_tree(tmp_path / "tree", RECORDS, workers=2)
    assert _digests(tmp_path / "tree") == _digests(root)


def _digests(root: Path) -> dict[str, tuple[str, int]]:
    return {
        path.relative_to(root).as_posix(): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file()
    }
