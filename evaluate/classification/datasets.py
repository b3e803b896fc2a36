"""Facts about a classification dataset: its layout on disk and its splits. Loads `recipes/eval/`."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from medmix.curate.config import find_yaml, nearest, parse, read_yaml, yaml_names
from medmix.curate.errors import UsageError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

RECIPE_NAMES = ("transfer", "smoke")
"""Files of `recipes/eval/` that are recipes, not datasets."""


@dataclass(frozen=True, slots=True)
class Folders:
    """One folder of images per class, as `benign/benign (1).png`.

    Attributes:
        path: of a class's images; `{class}` is replaced by the class's folder, `{split}` by that of the split.
        splits: folder of a split -> split; empty if upstream has none.
        exclude: patterns of file names that are no images of the dataset, as `*_mask*`.
    """

    RENAMED: ClassVar[dict[str, str]] = {"skip": "exclude"}

    path: str
    splits: dict[str, Split] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A csv file with one row per image.

    Attributes:
        files: csv file -> its split, or "" if the file has several or none.
        image_column: with the image's file name.
        folders: where images are searched, in order; patterns as `images_*/images` may match several.
        suffix: appended to the file name, as `.jpg`.
        label_column: with the label; None if each class has its own column with 0 or 1.
        separator: between several labels in one field.
        no_label: the label of an image without any of the classes.
        label_threshold: the label is a number; from this value up it is the second of two classes.
        group_column: with the patient, slide or lesion.
        split_column: with upstream's name of the split.
        splits: upstream's name -> split.
        split_files: text file with one file name per line -> split of these images.
    """

    RENAMED: ClassVar[dict[str, str]] = {
        "image": "image_column",
        "label": "label_column",
        "none": "no_label",
        "cut": "label_threshold",
        "group": "group_column",
        "split": "split_column",
        "lists": "split_files",
    }

    files: dict[str, str]
    image_column: str
    folders: tuple[str, ...]
    suffix: str = ""
    label_column: str | None = None
    separator: str | None = None
    no_label: str | None = None
    label_threshold: float | None = None
    group_column: str | None = None
    split_column: str | None = None
    splits: dict[str, Split] = field(default_factory=dict)
    split_files: dict[str, Split] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lists:
    """Text files with an image and its labels per line, as in MedFMC; the labels are at the end of the line.

    Attributes:
        files: text file -> split.
        folder: of the images.
        separator: between labels, "," or " "; file names may contain blanks.
        labels: `flags`, a 0 or 1 for each class, or `index`, the number of the class.
    """

    files: dict[str, Split]
    folder: str
    separator: Literal[",", " "] = " "
    labels: Literal["flags", "index"] = "flags"


@dataclass(frozen=True, slots=True)
class Arrays:
    """An npz file of images and labels, as in MedMNIST: `<name>_images` [N, H, W(, 3)] uint8, `<name>_labels`.

    Labels are the number of the class, [N] or [N, 1], or a 0 or 1 for each class, [N, K].
    """

    file: str
    splits: dict[str, Split]


@dataclass(frozen=True, slots=True)
class Reader:
    """The layout on disk; exactly one of the four."""

    folders: Folders | None = None
    table: Table | None = None
    lists: Lists | None = None
    arrays: Arrays | None = None


@dataclass(frozen=True, slots=True)
class SplitRules:
    """How the dataset is split, so that no test unit can be recognised from training.

    Attributes:
        group_by: the unit that is never divided between splits.
        group_pattern: regular expression for the file name; its first group is the patient, slide, lesion or case.
        test_fraction: of the images, stratified by class, whole units, if upstream has no test split.
        validation_fraction: of the remaining images, if upstream has no validation split.
        copies: copies that are kept together: `altered` ones and panels, `exact` ones (equal pixels), or `none`.
        leaks: what to do if a test unit is in train or validation too: `refuse` the dataset, `drop` the unit there, or
            `keep` it.
    """

    RENAMED: ClassVar[dict[str, str]] = {
        "by": "group_by",
        "group": "group_pattern",
        "test": "test_fraction",
        "validation": "validation_fraction",
    }

    group_by: Literal["patient", "slide", "lesion", "case", "copies"]
    group_pattern: str | None = None
    test_fraction: float = 0.2
    validation_fraction: float = 0.1
    copies: Literal["altered", "exact", "none"] = "altered"
    leaks: Literal["refuse", "drop", "keep"] = "refuse"


@dataclass(frozen=True, slots=True)
class License:
    """The licence: upstream's text, its id, and the evidence for it."""

    RENAMED: ClassVar[dict[str, str]] = {"wording": "license_text"}

    license_text: str
    id: str
    evidence: str


@dataclass(frozen=True, slots=True)
class PretrainingOverlap:
    """Whether the pretraining sources contain images of the dataset.

    Attributes:
        status: `none` known, `possible`, or `certain`.
        evidence: for the status; a search for copies (`medmix leaks`) is more reliable.
    """

    RENAMED: ClassVar[dict[str, str]] = {"overlap": "status"}

    status: Literal["none", "possible", "certain"]
    evidence: str


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """Facts about a dataset of labelled images.

    Attributes:
        id: the file's stem.
        folder: below `--root`; by default the id.
        labels: `single`, one class per image, or `multi`, any number of classes.
        classes: their names, in the order of the label numbers.
        class_aliases: upstream's name of a class -> class, if they differ.
        reader, splits: layout on disk; rules of the splits.
        images: number of upstream's images by split, or `all`; a copy with other numbers is reported as a sample.
        download: how to get it.
        download_size: of that download, and where it is stated; "" where it is not known.
        pretraining_overlap: whether the pretraining sources contain its images.
        known_issues: to know before trusting a score on it.
        unverified: claims in this file that were not seen in its own files or pages.
    """

    RENAMED: ClassVar[dict[str, str]] = {
        "values": "class_aliases",
        "fetch": "download",
        "outside": "pretraining_overlap",
        "quirks": "known_issues",
    }

    id: str
    title: str
    labels: Literal["single", "multi"]
    classes: tuple[str, ...]
    reader: Reader
    splits: SplitRules
    folder: str = ""
    class_aliases: dict[str, str] = field(default_factory=dict)
    modality: str = ""
    images: dict[str, int] = field(default_factory=dict)
    licence: License | None = None
    pretraining_overlap: PretrainingOverlap | None = None
    download: str = ""
    download_size: str = ""
    known_issues: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    attribution: str = ""
    citation: str = ""

    def class_number(self, upstream: str) -> int | None:
        """Return the number of the class with this upstream name, or None."""
        name = self.class_aliases.get(upstream, upstream)
        return self.classes.index(name) if name in self.classes else None


def dataset_names() -> list[str]:
    """List the datasets that come with medmix."""
    return [name for name in yaml_names("recipes/eval") if name not in RECIPE_NAMES]


def load(name_or_path: str | Path) -> DatasetInfo:
    """Load the facts by name, or from a YAML file of your own.

    Raises:
        UsageError: the name is unknown, or the file has problems; lists all problems.
    """
    path = find_yaml("recipes/eval", "dataset", name_or_path, dataset_names())
    info = parse(DatasetInfo, read_yaml(path), path.name)
    found = _problems(info, path.stem)
    if found:
        raise UsageError("; ".join(f"{path.name}: {problem}" for problem in found))
    return info


def _problems(info: DatasetInfo, stem: str) -> list[str]:
    reader, splits = info.reader, info.splits
    layouts = [part for part in (reader.folders, reader.table, reader.lists, reader.arrays) if part is not None]
    unknown = sorted(set(info.class_aliases.values()) - set(info.classes))
    rules = [
        (info.id != stem, f"id: is {info.id!r}, but the file is called {stem!r}; make them equal"),
        (len(info.classes) < 1 + (info.labels == "single"), "classes: too few"),
        (len(set(info.classes)) < len(info.classes), "classes: one is listed twice"),
        (
            bool(unknown),
            f"class_aliases: {', '.join(unknown)}: no such class{nearest(''.join(unknown[:1]), info.classes)}",
        ),
        (len(layouts) != 1, "reader: give exactly one of folders, table, lists, arrays"),
        (not 0 < splits.test_fraction < 1, "splits.test_fraction: must be above 0 and below 1"),
        (not 0 < splits.validation_fraction < 1, "splits.validation_fraction: must be above 0 and below 1"),
        (reader.folders is not None and "{class}" not in reader.folders.path, "reader.folders.path: needs {class}"),
        (
            reader.folders is not None and ("{split}" in reader.folders.path) != bool(reader.folders.splits),
            "reader.folders: give splits if and only if path has {split}",
        ),
        (
            reader.folders is not None and info.labels == "multi",
            "labels: folders give a single label; set it to single",
        ),
        (
            reader.table is not None and reader.table.label_threshold is not None and len(info.classes) != 2,
            "reader.table.label_threshold: needs exactly two classes",
        ),
        (not _is_pattern(splits.group_pattern), "splits.group_pattern: is no regular expression with a group"),
    ]
    return [problem for broken, problem in rules if broken]


def _is_pattern(pattern: str | None) -> bool:
    if pattern is None:
        return True
    try:
        return re.compile(pattern).groups >= 1
    except re.error:
        return False
