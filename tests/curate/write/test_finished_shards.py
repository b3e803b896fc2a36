"""What a build writes again, and what it only links, after something has changed."""

import shutil
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from medmix.curate.build import BuildOptions, build
from medmix.curate.decide import comparisons
from medmix.curate.describe import cards
from medmix.curate.licences import terms
from medmix.curate.measure import scan
from medmix.curate.mixtures import load
from medmix.curate.write import materialise

MIXTURE = """
name: again
version: 1.0.0
description: A mix.
sources: {{{names}}}
"""
TABLES = ("vqa_rad", "slake", "medqa")


@pytest.fixture
def done(monkeypatch) -> Counter:
    """Count the shards that are scanned and written, and the pairs that are compared."""
    counts: Counter = Counter()

    def counted(module, name, what, size=lambda *arguments: 1):
        function = getattr(module, name)

        def call(*arguments, **options):
            counts[what] += size(*arguments)
            return function(*arguments, **options)

        monkeypatch.setattr(module, name, call)

    counted(scan, "_rows", "scanned")
    counted(materialise, "_rows", "written")
    counted(comparisons, "_together", "pairs", lambda pairs: pairs.height)
    return counts


def built(root: Path, out: Path, done: Counter, names=TABLES, **settings) -> Counter:
    """Build into `out`, and give what this build did."""
    text = MIXTURE.format(names=", ".join(f"{name}: {{}}" for name in names)) + "".join(
        f"{name}: {value}\n" for name, value in settings.items()
    )
    (out.parent / "again.yaml").write_text(text)
    done.clear()
    build(load(str(out.parent / "again.yaml")), root, out, BuildOptions(limit=30))
    return +done


def shards(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.glob("[dr]*/*/*.parquet")}


def files(out: Path) -> dict[str, bytes]:
    """Give all files of a mix but the manifest, whose digest of the inputs and times are its own."""
    found = (path for path in out.rglob("*") if path.is_file() and not path.is_relative_to(out / ".work"))
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found if path.name != "manifest.json"}


def test_nothing_changed_nothing_is_done(root, tmp_path, done):
    first = built(root, tmp_path / "mix", done)
    assert first["scanned"] >= 3 and first["written"] == len(shards(tmp_path / "mix"))
    assert built(root, tmp_path / "mix", done) == {}


def test_a_word_in_a_card_changes_texts_alone(root, tmp_path, done, monkeypatch):
    built(root, tmp_path / "mix", done)
    before = shards(tmp_path / "mix")
    monkeypatch.setattr(cards, "templates_digest", lambda: "another")
    assert built(root, tmp_path / "mix", done) == {}
    assert shards(tmp_path / "mix") == before


def test_other_terms_of_licences_write_all_shards_again(root, tmp_path, done, monkeypatch):
    built(root, tmp_path / "mix", done)
    monkeypatch.setattr(terms, "table_digest", lambda: "another")
    assert built(root, tmp_path / "mix", done) == {"written": len(shards(tmp_path / "mix"))}


def test_a_threshold_decodes_no_image(root, tmp_path, done):
    built(root, tmp_path / "mix", done)
    again = built(root, tmp_path / "mix", done, images="{min_side: 40}")
    assert again["scanned"] == again["pairs"] == 0


def test_a_source_that_is_added_or_removed_leaves_the_shards_of_the_others(root, tmp_path, done):
    built(root, tmp_path / "mix", done, names=("slake", "medqa"))
    before = shards(tmp_path / "mix")
    added = built(root, tmp_path / "mix", done)
    own = [path for path in shards(tmp_path / "mix") if "/vqa_rad/" in path]
    assert added["written"] == len(own) > 0
    assert {path: data for path, data in shards(tmp_path / "mix").items() if path in before} == before
    assert built(root, tmp_path / "mix", done, names=("slake", "medqa")) == {}
    assert shards(tmp_path / "mix") == before


def test_a_record_less_writes_one_shard_or_few_of_many(root, tmp_path, done, monkeypatch):
    whole, gone = materialise.plan, set()
    monkeypatch.setattr(
        materialise, "plan", lambda kept, size: whole(kept.filter(~pl.col("id").is_in(list(gone))), 5_000)
    )
    built(root, tmp_path / "mix", done)
    before = shards(tmp_path / "mix")
    assert len(before) > 12
    digests_before = set(before.values())
    ids = [pl.read_parquet(tmp_path / "mix" / path, columns=["id"])["id"] for path in sorted(before)]
    gone.add(max(ids, key=len)[1])
    monkeypatch.setattr(cards, "templates_digest", lambda: "another")
    again = built(root, tmp_path / "mix", done)
    assert 1 <= again["written"] <= 2
    after = shards(tmp_path / "mix")
    assert len(set(after.values()) - digests_before) == again["written"]
    built(root, tmp_path / "fresh", done)
    assert shards(tmp_path / "fresh") == after


def test_facts_that_somebody_changed_or_removed_are_measured_again(root, tmp_path, done, monkeypatch):
    built(root, tmp_path / "mix", done)
    before = files(tmp_path / "mix")
    changed, removed, *_ = sorted((tmp_path / "mix/.work/facts").iterdir())
    with changed.open("r+b") as handle:
        handle.write(b"changed")
    removed.unlink()
    monkeypatch.setattr(cards, "templates_digest", lambda: "another")
    assert built(root, tmp_path / "mix", done) == {}
    assert files(tmp_path / "mix") == before


def test_linked_shards_are_those_that_a_fresh_build_writes(root, tmp_path, done):
    built(root, tmp_path / "mix", done, names=("slake", "medqa"))
    built(root, tmp_path / "mix", done)
    built(root, tmp_path / "fresh", done)
    assert shards(tmp_path / "mix") == shards(tmp_path / "fresh")


def test_a_changed_upstream_file_changes_its_own_shards(root, tmp_path, done):
    shutil.copytree(root, tmp_path / "root")
    built(tmp_path / "root", tmp_path / "mix", done)
    image = next((tmp_path / "root/slake").rglob("source.jpg"))
    with Image.open(image) as picture:
        picture.convert("L").save(image, "JPEG", quality=60)
    again = built(tmp_path / "root", tmp_path / "mix", done)
    written = again["written"]
    assert 0 < written <= sum("/slake/" in path for path in shards(tmp_path / "mix"))
    built(tmp_path / "root", tmp_path / "fresh", done)
    assert shards(tmp_path / "mix") == shards(tmp_path / "fresh")


def test_a_shard_that_somebody_changed_is_written_again(root, tmp_path, done, monkeypatch):
    built(root, tmp_path / "mix", done)
    before = shards(tmp_path / "mix")
    victim = tmp_path / "mix" / next(iter(before))
    with victim.open("r+b") as handle:
        handle.seek(100)
        handle.write(b"changed")
    monkeypatch.setattr(cards, "templates_digest", lambda: "another")
    assert built(root, tmp_path / "mix", done) == {"written": 1}
    assert shards(tmp_path / "mix") == before


def test_shards_that_no_mix_has_any_more_are_removed(root, tmp_path, done):
    built(root, tmp_path / "mix", done)
    built(root, tmp_path / "mix", done, names=("medqa",))
    kept = list((tmp_path / "mix/.work/shards").iterdir())
    assert len(kept) == len(shards(tmp_path / "mix"))
    assert all(path.stat().st_nlink == 2 for path in kept)
    assert len(list((tmp_path / "mix/.work/facts").iterdir())) == len(kept)
