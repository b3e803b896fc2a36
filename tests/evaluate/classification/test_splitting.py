"""Splits: no unit on both sides, the same whatever the order, leaks and contradictions said."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medmix.curate.copies import confirm
from medmix.curate.errors import UsageError
from medmix.evaluate.classification import copies, datasets, image_cache, readers, splitting
from medmix.evaluate.classification.copies import CopyPairs
from medmix.evaluate.classification.samples import Sample
from medmix.evaluate.classification.splitting import find_units

from ...curate.pictures import ALTERATIONS, picture

FACTS = replace(datasets.load("busi"), id="made")


def sample(key: str, label: int, split: str = "", group: str = "") -> Sample:
    return Sample(key, Path(key), (label,), split, group)


def cut(samples: Sequence[Sample], *pairs: tuple[int, int], seed: int = 0, leaks: splitting.Leaks | None = None):  # type: ignore[no-untyped-def]
    return splitting.split_dataset(FACTS, samples, CopyPairs(pairs), seed, leaks)


def keys(samples: Sequence[Sample], found: splitting.DatasetSplit) -> dict[str, set[str]]:
    return {name: {samples[place].key for place in indices} for name, indices in found.indices.items()}


MANY = [sample(f"{number:03}.png", number % 3, group=f"patient {number // 2}") for number in range(120)]


def test_shares_are_cut_by_unit_in_every_class() -> None:
    found = cut(MANY)
    assert {name: len(indices) for name, indices in found.indices.items()} == {
        "train": 86,
        "validation": 10,
        "test": 24,
    }
    for mine in found.indices.values():
        assert {MANY[place].labels[0] for place in mine} == {0, 1, 2}


@settings(deadline=None)
@given(st.permutations(range(60)), st.integers(0, 3))
def test_no_unit_stands_in_two_splits_and_order_does_not_matter(order: list[int], seed: int) -> None:
    mine = MANY[:60]
    pairs = ((0, 5), (5, 30), (7, 9))
    found = cut(mine, *pairs, seed=seed)
    homes = {name: {found.units[place] for place in indices} for name, indices in found.indices.items()}
    assert not homes["train"] & homes["test"]
    assert not homes["train"] & homes["validation"]
    assert not homes["validation"] & homes["test"]
    at = {place: here for here, place in enumerate(order)}
    shuffled = [mine[place] for place in order]
    again = cut(shuffled, *[(at[one], at[other]) for one, other in pairs], seed=seed)
    assert keys(shuffled, again) == keys(mine, found)


def test_another_seed_gives_another_cut() -> None:
    assert keys(MANY, cut(MANY, seed=0)) != keys(MANY, cut(MANY, seed=1))


def test_a_unit_joins_a_patient_with_the_copies_of_his_images() -> None:
    mine = [sample("a", 0, group="p"), sample("b", 0, group="p"), sample("c", 0), sample("d", 0), sample("e", 0)]
    assert find_units(mine, [(1, 2), (2, 3)]) == ["c"] * 4 + ["e"]


def test_a_part_of_an_image_is_of_its_unit_and_may_have_another_label() -> None:
    mine = [*MANY, sample("x.png", 0), sample("y.png", 1)]
    found = splitting.split_dataset(FACTS, mine, CopyPairs((), parts=((120, 121),)), 0)
    assert found.conflicting == ()
    assert found.units[120:] == ["x.png", "x.png"]


@pytest.mark.parametrize(
    ("kind", "share", "pairs", "parts"),
    [
        ("copy", 0.9, ((0, 1),), ()),
        ("panel", 0.9, (), ((0, 1),)),
        ("overlap", 0.5, (), ((0, 1),)),
        ("overlap", 0.49, (), ()),
        ("sequence", 0.9, (), ()),
        ("unrelated", 0.9, (), ()),
    ],
)
def test_parts_are_what_is_a_leak_of_a_mix(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: confirm.Kind,
    share: float,
    pairs: tuple[tuple[int, int], ...],
    parts: tuple[tuple[int, int], ...],
) -> None:
    picture(1).save(tmp_path / "a.png")
    ALTERATIONS["flip"](picture(1)).save(tmp_path / "b.png")
    mine = [replace(sample(name, 0), image=tmp_path / name) for name in ("a.png", "b.png")]
    decoded = image_cache.load(mine, 64, tmp_path / "cache", 10**8)
    match = replace(confirm.NO_MATCH, kind=kind, share=share)
    monkeypatch.setattr(confirm, "compare", lambda one, other: match)
    assert copies.find_copies(mine, decoded, "altered", tmp_path / "cache", 10**8) == CopyPairs(pairs, parts)


def test_images_whose_copies_are_filed_under_two_classes_are_left_out() -> None:
    mine = [*MANY, sample("x.png", 0), sample("y.png", 1)]
    found = cut(mine, (120, 121))
    assert found.conflicting == ("x.png", "y.png")
    assert not {120, 121} & {place for indices in found.indices.values() for place in indices}


OFFICIAL = [
    *[sample(f"train {number}", number % 3, "train", f"patient {number}") for number in range(30)],
    *[sample(f"test {number}", number % 3, "test", f"patient {number + 28}") for number in range(10)],
]


def test_a_test_that_leaks_into_training_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        cut(OFFICIAL)
    assert str(caught.value) == (
        "made: 2 images of train or validation share 2 units (copies, or copies or parts of one image) with the test: "
        "train 28, train 29; to drop them from training, set leaks: drop in splits of made.yaml; to keep them anyway, "
        "set leaks: keep"
    )


def test_it_is_dropped_from_training_or_kept_when_told_so() -> None:
    dropped, kept = cut(OFFICIAL, leaks="drop"), cut(OFFICIAL, leaks="keep")
    assert (dropped.leaked, kept.leaked) == ({"dropped": 2}, {"kept": 2})
    assert len(dropped.indices["test"]) == len(kept.indices["test"]) == 10
    assert len(dropped.indices["train"]) + len(dropped.indices["validation"]) == 28
    assert len(kept.indices["train"]) + len(kept.indices["validation"]) == 30


def test_a_class_that_cannot_be_learnt_is_refused() -> None:
    mine = [*OFFICIAL[:20:3], *OFFICIAL[1:20:3], *OFFICIAL[30:]]
    with pytest.raises(UsageError, match="made: of 24 images train has no image of normal"):
        cut(mine)


@pytest.mark.parametrize("shots", [1, 2, 5])
def test_shots_count_patients_and_not_images(shots: int) -> None:
    mine = [sample(f"{number:03}", number % 3, group=f"{number % 3} {number // 12}") for number in range(120)]
    unit = find_units(mine, [])
    chosen = splitting.few_shot(mine, unit, range(120), shots, seed=0)
    for label in range(3):
        whose = {unit[place] for place in chosen if mine[place].labels == (label,)}
        assert len(whose) == shots
        assert sum(mine[place].labels == (label,) for place in chosen) == 4 * shots  # all images of each
    assert splitting.few_shot(mine, unit, range(120), shots, seed=1) != chosen


def test_a_patient_chosen_for_one_finding_counts_for_his_others() -> None:
    both = [Sample(str(number), Path("x"), (0, 1), "", f"p{number}") for number in range(4)]
    assert len(splitting.few_shot(both, find_units(both, []), range(4), 2, seed=0)) == 2


def test_a_copy_of_one_of_several_equal_images_is_a_copy_of_all(tmp_path: Path) -> None:
    """Three files have equal pixels, of which the last has another label; a fourth is a mirrored copy."""
    image = picture(1)
    for name, content in [("a.png", image), ("b.bmp", image), ("c.tiff", image), ("d.png", ALTERATIONS["flip"](image))]:
        content.save(tmp_path / name)
    mine = [replace(sample(name, 0), image=tmp_path / name) for name in ("a.png", "b.bmp", "c.tiff", "d.png")]
    decoded = image_cache.load(mine, 64, tmp_path / "cache", 10**8)
    every = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
    assert copies.find_copies(mine, decoded, "altered", tmp_path / "cache", 10**8).pairs == every
    assert copies.find_copies(mine, decoded, "exact", tmp_path / "cache", 10**8).pairs == every[:2] + every[3:4]


def real(name: str, folder: Path, cache: Path) -> tuple[list[Sample], CopyPairs]:
    info = datasets.load(name)
    mine = readers.read(info, folder)
    decoded = image_cache.load(mine, 64, cache, 10**8)
    return mine, copies.find_copies(mine, decoded, info.splits.copies, cache, 10**8)


def test_the_real_brain_tumour_sample_leaks_and_is_refused_unless_told_otherwise(
    real_data: Path, tmp_path: Path
) -> None:
    info = datasets.load("brain_tumor_mri")
    mine, found = real("brain_tumor_mri", real_data / "brain_tumor_mri", tmp_path)
    with pytest.raises(UsageError, match=r"brain_tumor_mri: 12 images of train or validation share 9 units"):
        splitting.split_dataset(info, mine, found, 0, leaks="refuse")
    by_rule = splitting.split_dataset(info, mine, found, 0)
    assert by_rule.leaked == {"dropped": 12}
    assert len(by_rule.indices["test"]) == 76


def test_the_real_busi_sample_is_split_by_clusters_of_copies(real_data: Path, tmp_path: Path) -> None:
    mine, found = real("busi", real_data / "busi", tmp_path)
    assert (len(found.pairs), len(found.parts)) == (14, 1)  # two cuts of one frame, three pixels apart
    cut_ = splitting.split_dataset(datasets.load("busi"), mine, found, 0)
    homes = {place: name for name, indices in cut_.indices.items() for place in indices}
    assert all(homes[one] == homes[other] for one, other in found.pairs + found.parts)


def test_the_real_breastmnist_files_one_image_under_both_classes(real_data: Path, tmp_path: Path) -> None:
    mine, found = real("breastmnist", real_data / "medmnist", tmp_path)
    assert found.n_unsearchable == 0
    cut_ = splitting.split_dataset(datasets.load("breastmnist"), mine, found, 0)
    equal = {"test/000076", "train/000115"}  # the others were cut or encoded differently
    assert equal < set(cut_.conflicting)
    assert len(cut_.conflicting) == 15


def test_colons_shared_slides_are_dropped_from_training(sets_root: Path, tmp_path: Path) -> None:
    mine, found = real("medfmc_colon", sets_root / "medfmc_colon", tmp_path)
    cut_ = splitting.split_dataset(datasets.load("medfmc_colon"), mine, found, 0)
    assert cut_.leaked == {"dropped": 2}
    assert {name: len(indices) for name, indices in cut_.indices.items()} == {"train": 24, "validation": 8, "test": 14}
