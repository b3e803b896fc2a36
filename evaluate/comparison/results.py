"""The files that `medmix eval` writes, read again and checked: `results.json` and the predictions beside it."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medmix.curate.errors import UsageError

NAME = "results.json"
FORMAT = 1
SUITES = ("vqa", "classification")

AGAIN = "score the model again: medmix eval"

_PARTS: Mapping[str, type | tuple[type, ...]] = {
    "suite": str,
    "model": dict,
    "mix": (dict, type(None)),
    "protocol": dict,
    "versions": dict,
    "scores": list,
    "notes": list,
    "files": dict,
}

_SCORE: Mapping[str, type | tuple[type, ...]] = {
    "benchmark": str,
    "subset": str,
    "system": str,
    "metric": str,
    "value": (int, float, type(None)),
    "low": (int, float, type(None)),
    "high": (int, float, type(None)),
    "n": int,
    "groups": int,
    "seed": (int, type(None)),
}

Row = Mapping[str, Any]
"""One score, as `results.json` has it."""

Line = Mapping[str, Any]
"""One prediction, as `predictions.jsonl` has it."""


@dataclass(frozen=True, slots=True)
class Result:
    """One model on one suite.

    Attributes:
        path: of `results.json`.
        suite, model, mix, protocol, versions, scores, notes: as the file has them.
        lines: the model's own predictions.
    """

    path: Path
    suite: str
    model: Mapping[str, Any]
    mix: Mapping[str, Any] | None
    protocol: Mapping[str, Any]
    versions: Mapping[str, Any]
    scores: tuple[Row, ...]
    notes: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def identity(self) -> str:
        """What tells the model from others: the digest of its weights, or of its description where it has none."""
        described = json.dumps(self.model, sort_keys=True, ensure_ascii=False)
        return str(self.model.get("digest") or hashlib.sha256(described.encode()).hexdigest())

    @property
    def benchmarks(self) -> list[str]:
        """The benchmarks, as they come."""
        return list(dict.fromkeys(row["benchmark"] for row in self.scores))


def find(places: Sequence[Path]) -> list[Path]:
    """List the `results.json` that are named or lie below the folders that are; each once, sorted below a folder.

    Raises:
        UsageError: a place is not there, or a folder holds none.
    """
    found: dict[Path, Path] = {}
    for place in places:
        if not place.exists():
            raise UsageError(f"{place}: is not there; give a {NAME} of medmix eval, or a folder that holds some")
        mine = sorted(place.rglob(NAME)) if place.is_dir() else [place]
        if not mine:
            raise UsageError(f"{place}: holds no {NAME}; make one: medmix eval CHECKPOINT --out {place}")
        for path in mine:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def read(path: Path) -> Result:
    """Read one file with the predictions beside it.

    Raises:
        UsageError: it is none of medmix eval, has another format, or its predictions are cut or are not its own.
    """
    document = _document(path)
    scores = tuple(document["scores"])
    for number, row in enumerate(scores, 1):
        _check(row, _SCORE, f"{path}: score {number}")
    if not isinstance(document["model"].get("name"), str):
        raise UsageError(f"{path}: names no model; {AGAIN}")
    predictions = path.parent / str(document["files"].get("predictions"))
    lines = _lines(predictions)
    result = Result(
        path=path,
        suite=document["suite"],
        model=document["model"],
        mix=document["mix"],
        protocol=document["protocol"],
        versions=document["versions"],
        scores=scores,
        notes=tuple(map(str, document["notes"])),
        lines=tuple(line for line in lines if line["system"] == "model"),
    )
    _count(result, lines, predictions)
    return result


def _document(path: Path) -> dict[str, Any]:
    what = f"give a {NAME} of medmix eval"
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); {what}") from None
    except ValueError:
        raise UsageError(f"{path}: is no JSON, or cut; {what}") from None
    if not isinstance(document, dict) or "format" not in document or "suite" not in document:
        raise UsageError(f"{path}: is not a file of results; {what}")
    if document["format"] != FORMAT:
        raise UsageError(f"{path}: has format {document['format']!r}, this medmix reads format {FORMAT}; {AGAIN}")
    if document["suite"] not in SUITES:
        raise UsageError(f"{path}: is of suite {document['suite']!r}, known are {', '.join(SUITES)}; {AGAIN}")
    _check(document, _PARTS, str(path))
    return document


def _check(entry: Any, parts: Mapping[str, type | tuple[type, ...]], where: str) -> None:
    if not isinstance(entry, dict):
        raise UsageError(f"{where}: is no mapping; {AGAIN}")
    for name, kind in parts.items():
        if name not in entry:
            raise UsageError(f"{where}: lacks {name!r}; {AGAIN}")
        if not isinstance(entry[name], kind) or isinstance(entry[name], bool):
            raise UsageError(f"{where}: {name!r} is {entry[name]!r:.60}; {AGAIN}")


def _lines(path: Path) -> list[dict[str, Any]]:
    """Read the predictions; a line that is not whole is not left out, since a run that goes on would add it."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}), and scores are checked by it; {AGAIN}") from None
    whole, _, rest = text.rpartition(b"\n")
    if rest:
        raise UsageError(f"{path}: its last line is cut; go on with the same command of medmix eval")
    lines = []
    for number, data in enumerate(whole.split(b"\n") if whole else [], 1):
        try:
            line = json.loads(data)
        except ValueError:
            line = None
        if not isinstance(line, dict) or not {"id", "benchmark", "group", "system"} <= line.keys():
            raise UsageError(f"{path}, line {number}: is no prediction; {AGAIN}")
        lines.append(line)
    return lines


def _count(result: Result, lines: Sequence[Line], path: Path) -> None:
    """Compare how many predictions there are with what the scores say they are of."""
    if result.suite == "vqa":
        counts = Counter(
            (line["system"], line["benchmark"], subset, line.get("correct") is None)
            for line in lines
            for subset in line.get("subsets", ())
        )
        wanted = {
            (row["system"], row["benchmark"], row["subset"], not row["metric"].startswith("choice_")): row["n"]
            for row in result.scores
        }
    else:
        counts = Counter(("model", line["benchmark"], str(line.get("seed")), True) for line in lines)
        wanted = {
            ("model", row["benchmark"], str(row["seed"]), True): row["n"]
            for row in result.scores
            if row["seed"] is not None
        }
    for key, n in wanted.items():
        if counts[key] != n:
            system, benchmark, part, _ = key
            raise UsageError(
                f"{path}: holds {counts[key]} predictions of {system} on {benchmark} {part}, the scores beside it are "
                f"of {n}; it is cut, or of another run: go on with the same command of medmix eval"
            )
