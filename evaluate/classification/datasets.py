"""What is known of a classification set: how it lies on disk, and how it is split. Loads `recipes/eval/`."""

import re
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Literal

from medmix.curate.config import nearest, parse, read_yaml
from medmix.curate.errors import UsageError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

NOT_SETS = ("transfer", "smoke")
"""Files of `recipes/eval/` that say how encoders are compared, not on what."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Images in a folder for each class, as `benign/benign (1).png`.

    Attributes:
        path: where a class's images are; `{class}` stands for the class's folder, `{split}` for that of the split.
        splits: folder of a split -> split; empty where upstream has none.
        skip: patterns of file names that are no images of the set, as `*_mask*`.
    """

    path: str
    splits: dict[str, Split] = field(default_factory=dict)
    skip: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A csv file with a row for each image.

    Attributes:
        files: csv file -> its split, "" where the rows say it or nobody does.
        image: column with the image's file name.
        folders: where images are looked for, in order; patterns as `images_*/images` may stand for several.
        suffix: what the column lacks of the file name, as `.jpg`.
        label: column with the label; None where each class is a column of its own with 0 or 1.
        separator: between several labels in one field.
        none: the field's text for an image without any of the classes.
        cut: the label is a number; the second of two classes is from here up.
        group: column with the patient, slide or lesion.
        split: column that says the split, by the words of `splits`.
        splits: word of upstream -> split.
        lists: text file with a file name a line -> split of these images.
    """

    files: dict[str, str]
    image: str
    folders: tuple[str, ...]
    suffix: str = ""
    label: str | None = None
    separator: str | None = None
    none: str | None = None
    cut: float | None = None
    group: str | None = None
    split: str | None = None
    splits: dict[str, Split] = field(default_factory=dict)
    lists: dict[str, Split] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lists:
    """Text files with an image and its labels a line, as MedFMC has them; the labels are split off from the right.

    Attributes:
        files: text file -> split.
        folder: where the images are.
        separator: between labels, "," or " "; file names may hold blanks.
        labels: `flags`, a 0 or 1 for each class, or `index`, the number of the class.
    """

    files: dict[str, Split]
    folder: str
    separator: Literal[",", " "] = " "
    labels: Literal["flags", "index"] = "flags"


@dataclass(frozen=True, slots=True)
class Arrays:
    """An npz file of images and labels, as MedMNIST has them: `<name>_images` [N, H, W(, 3)] uint8, `<name>_labels`.

    Labels are the number of the class, [N] or [N, 1], or a 0 or 1 for each class, [N, K].
    """

    file: str
    splits: dict[str, Split]


@dataclass(frozen=True, slots=True)
class Reader:
    """How the set lies on disk; exactly one of the four."""

    folders: Folders | None = None
    table: Table | None = None
    lists: Lists | None = None
    arrays: Arrays | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """How the set is split, so that nothing of the test can be recognised.

    Attributes:
        by: what stands whole in one split.
        group: regular expression over the file name whose first group is the patient, slide, lesion or case.
        test: share of the images to cut off as test, by unit and class, where upstream has no test.
        validation: share of the others to cut off as validation, where upstream has none.
        copies: copies of one image are kept together: `altered` ones, `exact` ones (equal pixels), or `none`.
        leaks: what to do about a unit of the test that stands in train or validation as well: `refuse` the set,
            `drop` it there, or `keep` it.
    """

    by: Literal["patient", "slide", "lesion", "case", "copies"]
    group: str | None = None
    test: float = 0.2
    validation: float = 0.1
    copies: Literal["altered", "exact", "none"] = "altered"
    leaks: Literal["refuse", "drop", "keep"] = "refuse"


@dataclass(frozen=True, slots=True)
class Terms:
    """The licence: upstream's wording, the id that it is taken for, and where that was read."""

    wording: str
    id: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Outside:
    """Whether images of the set stand in the sources that models are pretrained on.

    Attributes:
        overlap: `none` known, `possible`, or `certain`.
        evidence: what that is known from; a search for copies (`medmix leaks`) still has the last word.
    """

    overlap: Literal["none", "possible", "certain"]
    evidence: str


@dataclass(frozen=True, slots=True)
class EvalSet:
    """A set of labelled images.

    Attributes:
        id: the file's stem.
        folder: the set's folder below `--root`; by default called as the set.
        labels: `single`, each image is of just one class, or `multi`, of any number of them.
        classes: their names, in the order of the label numbers.
        values: what upstream writes for a class, where that is not its name.
        reader, splits: how it lies on disk; how it is split.
        images: how many upstream has, by upstream's split, or `all`; a copy with other numbers is called a sample.
        fetch: how to get it.
        quirks: what to know before trusting a number on it.
        unverified: what is said here that was not seen in its own files or pages.
    """

    id: str
    title: str
    labels: Literal["single", "multi"]
    classes: tuple[str, ...]
    reader: Reader
    splits: Rules
    folder: str = ""
    values: dict[str, str] = field(default_factory=dict)
    modality: str = ""
    images: dict[str, int] = field(default_factory=dict)
    licence: Terms | None = None
    outside: Outside | None = None
    fetch: str = ""
    quirks: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    attribution: str = ""
    citation: str = ""

    def place(self, upstream: str) -> int | None:
        """Give the number of the class that upstream calls so, or None."""
        name = self.values.get(upstream, upstream)
        return self.classes.index(name) if name in self.classes else None


def set_names() -> list[str]:
    """List the sets that come with medmix."""
    entries = (files("medmix.recipes") / "eval").iterdir()
    names = sorted(Path(entry.name).stem for entry in entries if entry.name.endswith(".yaml"))
    return [name for name in names if name not in NOT_SETS]


def load(name_or_path: str | Path) -> EvalSet:
    """Load a set by name, or from a YAML file of one's own.

    Raises:
        UsageError: there is no such set, or its file has problems; all of them are named at once.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        known = set_names()
        if str(name_or_path) not in known:
            raise UsageError(
                f"set {str(name_or_path)!r} is unknown{nearest(str(name_or_path), known)}; there are "
                f"{', '.join(known)}, or give a path that ends in .yaml"
            )
        path = Path(str(files("medmix.recipes") / "eval" / f"{name_or_path}.yaml"))
    facts = parse(EvalSet, read_yaml(path), path.name)
    found = _problems(facts, path.stem)
    if found:
        raise UsageError("; ".join(f"{path.name}: {problem}" for problem in found))
    return facts


def _problems(facts: EvalSet, stem: str) -> list[str]:
    reader, splits = facts.reader, facts.splits
    layouts = [part for part in (reader.folders, reader.table, reader.lists, reader.arrays) if part is not None]
    strange = sorted(set(facts.values.values()) - set(facts.classes))
    rules = [
        (facts.id != stem, f"id: is {facts.id!r}, but the file is called {stem!r}; make them equal"),
        (len(facts.classes) < 1 + (facts.labels == "single"), "classes: too few to tell apart"),
        (len(set(facts.classes)) < len(facts.classes), "classes: one stands twice"),
        (bool(strange), f"values: {', '.join(strange)}: no such class{nearest(''.join(strange[:1]), facts.classes)}"),
        (len(layouts) != 1, "reader: give exactly one of folders, table, lists, arrays"),
        (not 0 < splits.test < 1, "splits.test: must be above 0 and below 1"),
        (not 0 < splits.validation < 1, "splits.validation: must be above 0 and below 1"),
        (reader.folders is not None and "{class}" not in reader.folders.path, "reader.folders.path: lacks {class}"),
        (
            reader.folders is not None and ("{split}" in reader.folders.path) != bool(reader.folders.splits),
            "reader.folders: give splits if and only if path has {split}",
        ),
        (reader.folders is not None and facts.labels == "multi", "labels: folders tell a single one; set it to single"),
        (
            reader.table is not None and reader.table.cut is not None and len(facts.classes) != 2,
            "reader.table.cut: cuts numbers into two classes",
        ),
        (not _is_pattern(splits.group), "splits.group: is no regular expression with a group"),
    ]
    return [problem for broken, problem in rules if broken]


def _is_pattern(pattern: str | None) -> bool:
    if pattern is None:
        return True
    try:
        return re.compile(pattern).groups >= 1
    except re.error:
        return False
