"""Append predictions to disk as they are made, one line each, so that a killed run resumes.

The questions decide the order of `predictions.jsonl`. `run.json` next to it records the model and protocol of the
lines. Lines of another model, other questions or another protocol are never mixed.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medmix.curate.config import differences
from medmix.curate.errors import UsageError, WorkError
from medmix.curate.shards import write_text

PREDICTIONS = "predictions.jsonl"
IDENTITY = "run.json"

REMEDY = "choose another --out, or start again with --overwrite"


class PredictionWriter:
    """The predictions of one run.

    Attributes:
        path: of the predictions.
        done: the complete lines found at the start, in order, and those appended since.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], overwrite: bool) -> None:
        """Open the predictions in a folder, or start them.

        Raises:
            UsageError: the folder has predictions of another run, or damaged ones.
        """
        self.path = folder / PREDICTIONS
        if overwrite:
            self.path.unlink(missing_ok=True)
            (folder / IDENTITY).unlink(missing_ok=True)
        if self.path.exists():
            _validate_identity(folder, identity)
            self.done = _read_complete_lines(self.path)
        else:
            write_text(folder / IDENTITY, json.dumps(identity, indent=2, ensure_ascii=False) + "\n")
            self.done = []

    def validate_order(self, expected: Sequence[tuple[str, str]]) -> None:
        """Compare the lines with the expected `(system, id)` pairs.

        Raises:
            UsageError: a line differs.
        """
        for number, line in enumerate(self.done):
            found = line.get("system"), line.get("id")
            if number >= len(expected) or found != expected[number]:
                raise UsageError(f"{self.path}, line {number + 1}: unexpected {found[0]} on {found[1]}; {REMEDY}")

    def append(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Append lines, each in one write, and flush them to the disk.

        Raises:
            WorkError: they cannot be written.
        """
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                for line in lines:
                    data = (json.dumps(line, ensure_ascii=False) + "\n").encode()
                    if os.write(handle, data) != len(data):
                        raise OSError("the disk wrote only a part of a line")
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise WorkError(
                f"{self.path} cannot be written ({error.strerror or error}); fix that and run the same command again"
            ) from error
        self.done += [json.loads(json.dumps(line)) for line in lines]


def _validate_identity(folder: Path, identity: Mapping[str, Any]) -> None:
    try:
        before = json.loads((folder / IDENTITY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UsageError(
            f"{folder / PREDICTIONS}: its model and protocol are unknown ({IDENTITY} is missing); {REMEDY}"
        ) from None
    if found := differences(before, identity):
        raise UsageError(f"{folder / PREDICTIONS} is of another run: {'; '.join(found)}; {REMEDY}")


def _read_complete_lines(path: Path) -> list[dict[str, Any]]:
    """Read the lines; truncate the file after the last complete one.

    Raises:
        UsageError: a line before the last is damaged.
    """
    data = path.read_bytes()
    whole, newline, _ = data.rpartition(b"\n")
    lines = []
    for number, line in enumerate(whole.split(b"\n") if newline else [], 1):
        try:
            lines.append(json.loads(line))
        except ValueError:
            raise UsageError(f"{path}, line {number}: damaged; {REMEDY}") from None
        if not isinstance(lines[-1], dict):
            raise UsageError(f"{path}, line {number}: not a prediction; {REMEDY}")
    kept = len(whole) + len(newline)
    if kept < len(data):
        os.truncate(path, kept)
    return lines
