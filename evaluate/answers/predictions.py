"""Predictions on disk as they are made: a line each, appended whole, so that a killed run goes on.

`predictions.jsonl` is written in one order that the questions decide. Beside it `run.json` says what the lines depend
on; lines of another model, other questions or another protocol are never mixed.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medmix.curate.errors import UsageError, WorkError
from medmix.curate.shards import write_text

PREDICTIONS = "predictions.jsonl"
IDENTITY = "run.json"

REMEDY = "give another --out, or begin again with --fresh"


class Journal:
    """The predictions of one run; `done` of them are there.

    Attributes:
        path: of the lines.
        done: the whole lines that were found, in order, and those appended since.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], fresh: bool) -> None:
        """Open the predictions in a folder, or begin them.

        Raises:
            UsageError: there are predictions of another run, or damaged ones.
        """
        self.path = folder / PREDICTIONS
        if fresh:
            self.path.unlink(missing_ok=True)
            (folder / IDENTITY).unlink(missing_ok=True)
        if self.path.exists():
            _refuse_other(folder, identity)
            self.done = _whole_lines(self.path)
        else:
            write_text(folder / IDENTITY, json.dumps(identity, indent=2, ensure_ascii=False) + "\n")
            self.done = []

    def check(self, expected: Sequence[tuple[str, str]]) -> None:
        """Compare the lines with the order, `(system, id)`, in which they must stand.

        Raises:
            UsageError: a line is not where it must be.
        """
        for number, line in enumerate(self.done):
            found = line.get("system"), line.get("id")
            if number >= len(expected) or found != expected[number]:
                raise UsageError(
                    f"{self.path}, line {number + 1}: {found[0]} on {found[1]} does not belong here; {REMEDY}"
                )

    def append(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Append lines, each in one write, and bring them to the disk.

        Raises:
            WorkError: they cannot be written.
        """
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                for line in lines:
                    data = (json.dumps(line, ensure_ascii=False) + "\n").encode()
                    if os.write(handle, data) != len(data):
                        raise OSError("the disk took part of a line")
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise WorkError(
                f"{self.path} cannot be written ({error.strerror or error}); mend that and type the same command again"
            ) from error
        self.done += [json.loads(json.dumps(line)) for line in lines]


def _refuse_other(folder: Path, identity: Mapping[str, Any]) -> None:
    try:
        before = json.loads((folder / IDENTITY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UsageError(
            f"{folder / PREDICTIONS}: it is not known what made it ({IDENTITY} is gone); {REMEDY}"
        ) from None
    if found := differences(before, identity):
        raise UsageError(f"{folder / PREDICTIONS} is of another run: {'; '.join(found)}; {REMEDY}")


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say in what two nested mappings differ, as `protocol.batch was 8, is 16`."""
    first, other = flat(before), flat(json.loads(json.dumps(now)))
    return [
        f"{name} was {_short(first.get(name))}, is {_short(other.get(name))}"
        for name in sorted({*first, *other})
        if first.get(name) != other.get(name)
    ]


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Give nested values by their whole names, `protocol.batch`."""
    if not isinstance(value, dict):
        return {prefix: value}
    return {k: v for key, item in value.items() for k, v in flat(item, f"{prefix}.{key}".strip(".")).items()}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:12] if len(text) == 64 else text


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """Read the lines; cut off a last one that was not finished.

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
            raise UsageError(f"{path}, line {number}: no prediction; {REMEDY}")
    kept = len(whole) + len(newline)
    if kept < len(data):
        os.truncate(path, kept)
    return lines
