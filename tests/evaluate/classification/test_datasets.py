"""What is known of the sets, and what a YAML of one's own may not say."""

from pathlib import Path

import pytest

from medmix.curate.errors import UsageError
from medmix.curate.licences import wordings
from medmix.evaluate.classification import datasets, readers, splitting
from medmix.evaluate.classification.copies import Copies
from medmix.evaluate.classification.suite import DEFAULT_SETS

from . import upstream

OWN = """
id: mine
title: Mine
labels: single
classes: [cat, dog]
reader:
  folders: {path: "{class}"}
splits: {by: patient}
"""


CONTRIBUTING = Path(__file__).resolve().parents[3] / "CONTRIBUTING.md"


def own(folder: Path, text: str = OWN) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", datasets.set_names())
def test_every_set_says_where_it_is_from_and_whether_the_mix_has_seen_it(name: str) -> None:
    facts = datasets.load(name)
    assert facts.licence is not None
    assert facts.licence.id == "LicenseRef-unclear" or wordings.is_known(facts.licence.id)
    assert facts.outside is not None
    assert facts.outside.evidence
    assert facts.citation.startswith("@")
    assert facts.images
    assert facts.quirks
    assert facts.fetch


def test_of_the_eight_default_sets_only_cxr8_may_be_in_the_mix() -> None:
    overlaps = {name: outside.overlap for name in DEFAULT_SETS if (outside := datasets.load(name).outside) is not None}
    assert overlaps.pop("cxr8") == "possible"  # SLAKE and COVIDx CXR-4 draw on it
    assert len(overlaps) == 7
    assert set(overlaps.values()) == {"none"}


def test_ham10000_and_breastmnist_say_why_they_are_not_among_them() -> None:
    ham, small = datasets.load("ham10000"), datasets.load("breastmnist")
    assert ham.outside is not None
    assert ham.outside.overlap == "certain"
    assert "ISIC 2018" in ham.outside.evidence
    assert "BUSI" in small.quirks[0]
    assert not {"ham10000", "breastmnist"} & set(DEFAULT_SETS)


def test_a_yaml_of_ones_own_needs_seven_keys(tmp_path: Path) -> None:
    facts = datasets.load(own(tmp_path))
    assert (facts.id, facts.classes, facts.splits.test) == ("mine", ("cat", "dog"), 0.2)


def test_the_example_in_contributing_is_whole(tmp_path: Path) -> None:
    page = CONTRIBUTING.read_text(encoding="utf-8")
    block = page.split("```text\n# ward_films.yaml\n")[1].split("```")[0]
    (tmp_path / "ward_films.yaml").write_text(block)
    facts = datasets.load(tmp_path / "ward_films.yaml")
    for label, name in enumerate(facts.classes):
        for patient in range(10):
            for film in (1, 2):
                path = tmp_path / "ward_films" / "films" / name / f"{10 * label + patient:04}_{film}.png"
                upstream.save(path, [label], 100 * label + 10 * patient + film)
    samples = readers.read(facts, tmp_path / "ward_films")
    found = splitting.split(facts, samples, Copies(()), seed=0)
    assert {name: len(places) for name, places in found.places.items()} == {"train": 24, "validation": 4, "test": 12}
    patients = [{samples[place].group for place in places} for places in found.places.values()]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("classes:", "clases:"), "mine.yaml: clases: unknown key (did you mean 'classes'?)"),
        (("[cat, dog]", "[cat, cat]"), "mine.yaml: classes: one stands twice"),
        (("[cat, dog]", "[cat]"), "mine.yaml: classes: too few to tell apart"),
        (("id: mine", "id: yours"), "mine.yaml: id: is 'yours', but the file is called 'mine'; make them equal"),
        (("{class}", "images"), "mine.yaml: reader.folders.path: lacks {class}"),
        (("labels: single", "labels: multi"), "mine.yaml: labels: folders tell a single one; set it to single"),
        (("by: patient", "by: patient, group: '(('"), "splits.group: is no regular expression with a group"),
        (("by: patient", "by: patient, group: abc"), "splits.group: is no regular expression with a group"),
        (("by: patient", "by: patient, test: 1"), "mine.yaml: splits.test: must be above 0 and below 1"),
        (("splits:", "values: {Dog: dgo}\nsplits:"), "mine.yaml: values: dgo: no such class (did you mean 'dog'?)"),
        (("reader:", "reader:\n  arrays: {file: a.npz, splits: {}}"), "reader: give exactly one of folders"),
    ],
)
def test_what_a_yaml_may_not_say(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = own(tmp_path, OWN.replace(*change))
    with pytest.raises(UsageError) as caught:
        datasets.load(path)
    assert message in str(caught.value)


def test_an_unknown_set_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r"set 'bussi' is unknown \(did you mean 'busi'\?\); there are bach, "):
        datasets.load("bussi")
