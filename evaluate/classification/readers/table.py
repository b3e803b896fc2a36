"""Datasets with a csv file of one row per image, as ChestX-ray14 and HAM10000."""

from collections.abc import Iterator
from pathlib import Path

from medmix.curate.config import nearest
from medmix.curate.errors import InputError, RowError
from medmix.curate.tables import csv_rows, text_lines

from ..datasets import DatasetInfo, Table
from ..samples import Sample, group_of, is_inside


def read_table(info: DatasetInfo, layout: Table, folder: Path) -> list[Sample]:
    """Read the rows of every file.

    Raises:
        InputError: a column is missing, or a row has an unknown label or split, or an image in no split file.
    """
    image_folders = _image_folders(layout, folder)
    listed = _read_split_files(layout, folder)
    samples = []
    for file, split in layout.files.items():
        path = folder / file
        for row, fields in _rows(path, layout, info):
            try:
                name = fields[layout.image_column].strip() + layout.suffix
                image = _find_image(image_folders, name)
                samples.append(
                    Sample(
                        key=image.relative_to(folder).as_posix(),
                        image=image,
                        labels=_labels(info, layout, fields),
                        split=split or _split(layout, fields, listed, name),
                        group=fields[layout.group_column].strip() if layout.group_column else group_of(info, name),
                    )
                )
            except RowError as error:
                raise InputError(path, error.evidence, f"fix the row, or {info.id}.yaml", row=row) from None
    return samples


def _rows(path: Path, layout: Table, info: DatasetInfo) -> Iterator[tuple[int, dict[str, str]]]:
    columns = [layout.image_column, layout.label_column, layout.group_column, layout.split_column]
    required = [column for column in columns if column] + ([] if layout.label_column else list(info.classes))
    for row, fields in csv_rows(path, required):
        if isinstance(fields, RowError):
            raise InputError(path, fields.evidence, "fix the row", row=row)
        yield row, fields


def _image_folders(layout: Table, folder: Path) -> list[Path]:
    image_folders = [path for pattern in layout.folders for path in sorted(folder.glob(pattern)) if path.is_dir()]
    if not image_folders:
        raise InputError(folder, f"has no folder {', '.join(layout.folders)}", "check reader.table.folders")
    return image_folders


def _find_image(image_folders: list[Path], name: str) -> Path:
    """Return the path in the first folder that has the image, or in the first folder if none has it."""
    if not is_inside(name):
        raise RowError("unparsable-row", f"{name!r} is no file name")
    return next((path / name for path in image_folders if (path / name).is_file()), image_folders[0] / name)


def _read_split_files(layout: Table, folder: Path) -> dict[str, str]:
    listed: dict[str, str] = {}
    for file, split in layout.split_files.items():
        for row, line in text_lines(folder / file):
            if isinstance(line, RowError):
                raise InputError(folder / file, line.evidence, "fix the line", row=row)
            name = line.strip()
            if listed.setdefault(name, split) != split:
                raise InputError(folder / file, f"{name} is in two splits", "keep it in one", row=row)
    return listed


def _split(layout: Table, fields: dict[str, str], listed: dict[str, str], name: str) -> str:
    if layout.split_files:
        if name not in listed:
            raise RowError("unparsable-row", f"{name} is in none of {', '.join(layout.split_files)}")
        return listed[name]
    if layout.split_column is None:
        return ""
    word = fields[layout.split_column].strip()
    if word not in layout.splits:
        raise RowError("unparsable-row", f"split {word!r} is none of {', '.join(layout.splits)}")
    return layout.splits[word]


def _labels(info: DatasetInfo, layout: Table, fields: dict[str, str]) -> tuple[int, ...]:
    if layout.label_column is None:
        words = [fields[name].strip() for name in info.classes]
        if not set(words) <= {"0", "1", "0.0", "1.0"}:
            raise RowError("unparsable-row", f"labels {', '.join(words)} are not 0 or 1")
        return _validated_labels(info, tuple(number for number, word in enumerate(words) if word[0] == "1"))
    text = fields[layout.label_column].strip()
    if layout.label_threshold is not None:
        try:
            return (int(float(text) >= layout.label_threshold),)
        except ValueError:
            raise RowError("unparsable-row", f"label {text!r} is no number") from None
    if layout.no_label is not None and text == layout.no_label:
        return _validated_labels(info, ())
    return _validated_labels(info, tuple(sorted(_class_index(info, word) for word in _split_labels(layout, text))))


def _split_labels(layout: Table, text: str) -> list[str]:
    return [word.strip() for word in text.split(layout.separator)] if layout.separator else [text]


def _class_index(info: DatasetInfo, word: str) -> int:
    number = info.class_number(word)
    if number is None:
        hint = nearest(word, [*info.classes, *info.class_aliases])
        raise RowError("unparsable-row", f"label {word!r} is no class{hint}")
    return number


def _validated_labels(info: DatasetInfo, labels: tuple[int, ...]) -> tuple[int, ...]:
    if info.labels == "single" and len(labels) != 1:
        raise RowError("unparsable-row", f"{len(labels)} classes, the dataset is single-label")
    return labels
