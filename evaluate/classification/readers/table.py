"""Sets with a csv file that has a row for each image, as ChestX-ray14 and HAM10000."""

from collections.abc import Iterator
from pathlib import Path

from medmix.curate.config import nearest
from medmix.curate.errors import InputError, RowError
from medmix.curate.tables import csv_rows, text_lines

from ..datasets import EvalSet, Table
from ..samples import Sample, group_of, is_inside


def read_table(facts: EvalSet, layout: Table, folder: Path) -> list[Sample]:
    """Read the rows of every file.

    Raises:
        InputError: a column is missing, or a row cannot be used: an unknown label or split, an image in no list.
    """
    homes = _homes(layout, folder)
    listed = _listed(layout, folder)
    samples = []
    for file, split in layout.files.items():
        path = folder / file
        for row, fields in _rows(path, layout, facts):
            try:
                name = fields[layout.image].strip() + layout.suffix
                image = _found(homes, name)
                samples.append(
                    Sample(
                        key=image.relative_to(folder).as_posix(),
                        image=image,
                        labels=_labels(facts, layout, fields),
                        split=split or _split(layout, fields, listed, name),
                        group=fields[layout.group].strip() if layout.group else group_of(facts, name),
                    )
                )
            except RowError as error:
                raise InputError(path, error.evidence, f"mend the row, or {facts.id}.yaml", row=row) from None
    return samples


def _rows(path: Path, layout: Table, facts: EvalSet) -> Iterator[tuple[int, dict[str, str]]]:
    columns = [layout.image, layout.label, layout.group, layout.split]
    required = [column for column in columns if column] + ([] if layout.label else list(facts.classes))
    for row, fields in csv_rows(path, required):
        if isinstance(fields, RowError):
            raise InputError(path, fields.evidence, "mend the row", row=row)
        yield row, fields


def _homes(layout: Table, folder: Path) -> list[Path]:
    homes = [home for pattern in layout.folders for home in sorted(folder.glob(pattern)) if home.is_dir()]
    if not homes:
        raise InputError(folder, f"has no folder {', '.join(layout.folders)}", "check reader.table.folders")
    return homes


def _found(homes: list[Path], name: str) -> Path:
    """Give the image in the first folder that has it; in the first folder where none does."""
    if not is_inside(name):
        raise RowError("unparsable-row", f"{name!r} is no file name")
    return next((home / name for home in homes if (home / name).is_file()), homes[0] / name)


def _listed(layout: Table, folder: Path) -> dict[str, str]:
    listed: dict[str, str] = {}
    for file, split in layout.lists.items():
        for row, line in text_lines(folder / file):
            name = str(line).strip()
            if listed.setdefault(name, split) != split:
                raise InputError(folder / file, f"{name} stands in two splits", "leave it in one", row=row)
    return listed


def _split(layout: Table, fields: dict[str, str], listed: dict[str, str], name: str) -> str:
    if layout.lists:
        if name not in listed:
            raise RowError("unparsable-row", f"{name} stands in none of {', '.join(layout.lists)}")
        return listed[name]
    if layout.split is None:
        return ""
    word = fields[layout.split].strip()
    if word not in layout.splits:
        raise RowError("unparsable-row", f"split {word!r} is none of {', '.join(layout.splits)}")
    return layout.splits[word]


def _labels(facts: EvalSet, layout: Table, fields: dict[str, str]) -> tuple[int, ...]:
    if layout.label is None:
        words = [fields[name].strip() for name in facts.classes]
        if not set(words) <= {"0", "1", "0.0", "1.0"}:
            raise RowError("unparsable-row", f"labels {', '.join(words)} are not 0 or 1")
        return _checked(facts, tuple(place for place, word in enumerate(words) if word[0] == "1"))
    text = fields[layout.label].strip()
    if layout.cut is not None:
        try:
            return (int(float(text) >= layout.cut),)
        except ValueError:
            raise RowError("unparsable-row", f"label {text!r} is no number") from None
    if layout.none is not None and text == layout.none:
        return _checked(facts, ())
    return _checked(facts, tuple(sorted(_place(facts, word) for word in _words(layout, text))))


def _words(layout: Table, text: str) -> list[str]:
    return [word.strip() for word in text.split(layout.separator)] if layout.separator else [text]


def _place(facts: EvalSet, word: str) -> int:
    place = facts.place(word)
    if place is None:
        hint = nearest(word, [*facts.classes, *facts.values])
        raise RowError("unparsable-row", f"label {word!r} is no class{hint}")
    return place


def _checked(facts: EvalSet, labels: tuple[int, ...]) -> tuple[int, ...]:
    if facts.labels == "single" and len(labels) != 1:
        raise RowError("unparsable-row", f"{len(labels)} classes, the set is single-label")
    return labels
