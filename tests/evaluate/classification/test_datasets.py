"""What is known of the sets, and what a YAML of one's own may not say."""

from pathlib import Path

import pytest

from medmix.curate.config import parse
from medmix.curate.errors import UsageError
from medmix.curate.licences import terms
from medmix.evaluate.classification import datasets, readers, recipe, splitting
from medmix.evaluate.classification.copies import CopyPairs
from medmix.evaluate.classification.suite import DEFAULT_DATASETS

from . import upstream

OWN = """
id: mine
title: Mine
labels: single
classes: [cat, dog]
reader:
  folders: {path: "{class}"}
splits: {group_by: patient}
"""


CONTRIBUTING = Path(__file__).resolve().parents[3] / "CONTRIBUTING.md"


def own(folder: Path, text: str = OWN) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", datasets.dataset_names())
def test_every_set_says_where_it_is_from_and_whether_the_mix_has_seen_it(name: str) -> None:
    info = datasets.load(name)
    assert info.licence is not None
    assert info.licence.id == "LicenseRef-unclear" or terms.is_known(info.licence.id)
    assert info.pretraining_overlap is not None
    assert info.pretraining_overlap.evidence
    assert info.citation.startswith("@")
    assert info.images
    assert info.known_issues
    assert info.download


def test_of_the_eight_default_sets_only_cxr8_may_be_in_the_mix() -> None:
    overlaps = {
        name: overlap.status
        for name in DEFAULT_DATASETS
        if (overlap := datasets.load(name).pretraining_overlap) is not None
    }
    assert overlaps.pop("cxr8") == "possible"  # SLAKE and COVIDx CXR-4 draw on it
    assert len(overlaps) == 7
    assert set(overlaps.values()) == {"none"}


def test_ham10000_and_breastmnist_say_why_they_are_not_among_them() -> None:
    ham, small = datasets.load("ham10000"), datasets.load("breastmnist")
    assert ham.pretraining_overlap is not None
    assert ham.pretraining_overlap.status == "certain"
    assert "ISIC 2018" in ham.pretraining_overlap.evidence
    assert "BUSI" in small.known_issues[0]
    assert not {"ham10000", "breastmnist"} & set(DEFAULT_DATASETS)


def test_a_yaml_of_ones_own_needs_seven_keys(tmp_path: Path) -> None:
    info = datasets.load(own(tmp_path))
    assert (info.id, info.classes, info.splits.test_fraction) == ("mine", ("cat", "dog"), 0.2)


def test_the_example_in_contributing_is_whole(tmp_path: Path) -> None:
    page = CONTRIBUTING.read_text(encoding="utf-8")
    block = page.split("```text\n# ward_films.yaml\n")[1].split("```")[0]
    (tmp_path / "ward_films.yaml").write_text(block)
    info = datasets.load(tmp_path / "ward_films.yaml")
    for label, name in enumerate(info.classes):
        for patient in range(10):
            for film in (1, 2):
                path = tmp_path / "ward_films" / "films" / name / f"{10 * label + patient:04}_{film}.png"
                upstream.save(path, [label], 100 * label + 10 * patient + film)
    samples = readers.read(info, tmp_path / "ward_films")
    found = splitting.split_dataset(info, samples, CopyPairs(()), seed=0)
    assert {name: len(indices) for name, indices in found.indices.items()} == {"train": 24, "validation": 4, "test": 12}
    patients = [{samples[place].group for place in indices} for indices in found.indices.values()]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("classes:", "clases:"), "mine.yaml: clases: unknown key (did you mean 'classes'?)"),
        (("[cat, dog]", "[cat, cat]"), "mine.yaml: classes: one is listed twice"),
        (("[cat, dog]", "[cat]"), "mine.yaml: classes: too few"),
        (("id: mine", "id: yours"), "mine.yaml: id: is 'yours', but the file is called 'mine'; make them equal"),
        (("{class}", "images"), "mine.yaml: reader.folders.path: needs {class}"),
        (("labels: single", "labels: multi"), "mine.yaml: labels: folders give a single label; set it to single"),
        (
            ("by: patient", "by: patient, group_pattern: '(('"),
            "splits.group_pattern: is no regular expression with a group",
        ),
        (
            ("by: patient", "by: patient, group_pattern: abc"),
            "splits.group_pattern: is no regular expression with a group",
        ),
        (
            ("by: patient", "by: patient, test_fraction: 1"),
            "mine.yaml: splits.test_fraction: must be above 0 and below 1",
        ),
        (
            ("splits:", "class_aliases: {Dog: dgo}\nsplits:"),
            "mine.yaml: class_aliases: dgo: no such class (did you mean 'dog'?)",
        ),
        (("reader:", "reader:\n  arrays: {file: a.npz, splits: {}}"), "reader: give exactly one of folders"),
    ],
)
def test_what_a_yaml_may_not_say(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = own(tmp_path, OWN.replace(*change))
    with pytest.raises(UsageError) as caught:
        datasets.load(path)
    assert message in str(caught.value)


def test_an_unknown_set_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r"dataset 'bussi' is unknown \(did you mean 'busi'\?\); there are bach, "):
        datasets.load("bussi")


@pytest.mark.parametrize(
    ("before", "old", "new"),
    [
        ("values: {}\nsplits", "values", "class_aliases"),
        ("fetch: x\nsplits", "fetch", "download"),
        ("outside: {}\nsplits", "outside", "pretraining_overlap"),
        ("quirks: []\nsplits", "quirks", "known_issues"),
        ("licence: {wording: x}\nsplits", "wording", "license_text"),
        ("pretraining_overlap: {overlap: none}\nsplits", "overlap", "status"),
    ],
)
def test_a_renamed_key_is_an_error_that_names_the_new_one(tmp_path: Path, before: str, old: str, new: str) -> None:
    with pytest.raises(UsageError, match=rf"{old}: is now called '{new}'"):
        datasets.load(own(tmp_path, OWN.replace("splits", before)))


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        (kind, old, new)
        for kind in (datasets.Folders, datasets.Table, datasets.SplitRules)
        for old, new in kind.RENAMED.items()
    ],
)
def test_a_renamed_key_of_layouts_and_splits_too(kind: type, old: str, new: str) -> None:
    with pytest.raises(UsageError, match=rf"{old}: is now called '{new}'"):
        parse(kind, {old: "x"}, "mine.yaml")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("batch=8", "batch_size"),
        ("resamples=9", "n_bootstrap"),
        ("optim.clip=1.0", "max_grad_norm"),
        ("augment.tone=0.1", "color_jitter"),
        ("augment.flip=0.5", "hflip"),
    ],
)
def test_a_renamed_key_of_a_recipe_too(old: str, new: str) -> None:
    with pytest.raises(UsageError, match=rf"is now called '{new}'"):
        recipe.load("smoke", (old,))
