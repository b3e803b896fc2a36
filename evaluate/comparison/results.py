"""Read and validate the files of `medmix eval`: `results.json` and its predictions."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medmix.curate.errors import UsageError

NAME = "results.json"
FORMAT = 2
SUITES = ("answers", "classification")

REMEDY = "score the model again: medmix eval"

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
"""A score of `results.json`."""

Prediction = Mapping[str, Any]
"""A line of `predictions.jsonl`."""


@dataclass(frozen=True, slots=True)
class Result:
    """One model on one suite.

    Attributes:
        path: of `results.json`.
        suite, model, mix, protocol, versions, scores, notes: of the file.
        predictions: of the model, without its controls.
    """

    path: Path
    suite: str
    model: Mapping[str, Any]
    mix: Mapping[str, Any] | None
    protocol: Mapping[str, Any]
    versions: Mapping[str, Any]
    scores: tuple[Row, ...]
    notes: tuple[str, ...]
    predictions: tuple[Prediction, ...]

    @property
    def identity(self) -> str:
        """The digest of the model's weights, or of its description if it has none."""
        described = json.dumps(self.model, sort_keys=True, ensure_ascii=False)
        return str(self.model.get("digest") or hashlib.sha256(described.encode()).hexdigest())


def find(paths: Sequence[Path]) -> list[Path]:
    """List each `results.json` among these files and below these folders once, sorted within a folder.

    Raises:
        UsageError: a path does not exist, or a folder has none.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: does not exist; give a {NAME} of medmix eval, or a folder that contains some")
        mine = sorted(path.rglob(NAME)) if path.is_dir() else [path]
        if not mine:
            raise UsageError(f"{path}: contains no {NAME}; make one: medmix eval MODEL --out {path}")
        for file in mine:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def read(path: Path) -> Result:
    """Read one file with its predictions.

    Raises:
        UsageError: it is not of medmix eval, has another format, or its predictions are incomplete or of another run.
    """
    document = _document(path)
    scores = tuple(document["scores"])
    for number, row in enumerate(scores, 1):
        _validate_fields(row, _SCORE, f"{path}: score {number}")
    if not isinstance(document["model"].get("name"), str):
        raise UsageError(f"{path}: has no model name; {REMEDY}")
    predictions_path = path.parent / _file_name(document["files"].get("predictions"), path)
    predictions = _read_predictions(predictions_path)
    result = Result(
        path=path,
        suite=document["suite"],
        model=document["model"],
        mix=document["mix"],
        protocol=document["protocol"],
        versions=document["versions"],
        scores=scores,
        notes=tuple(map(str, document["notes"])),
        predictions=tuple(line for line in predictions if line["system"] == "model"),
    )
    _validate_counts(result, predictions, predictions_path)
    return result


def _file_name(name: Any, path: Path) -> str:
    """Refuse a name that leads out of the folder of the results."""
    if not isinstance(name, str) or Path(name).name != name or name in ("", ".", "..") or "\0" in name:
        raise UsageError(f"{path}: files.predictions is {name!r:.60}, which is no name of a file beside it; {REMEDY}")
    return name


def _document(path: Path) -> dict[str, Any]:
    remedy = f"give a {NAME} of medmix eval"
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{path}: is not JSON, or incomplete; {remedy}") from None
    if not isinstance(document, dict) or "format" not in document or "suite" not in document:
        raise UsageError(f"{path}: is not a results file; {remedy}")
    if document["format"] != FORMAT:
        raise UsageError(f"{path}: has format {document['format']!r}, this version reads format {FORMAT}; {REMEDY}")
    if document["suite"] not in SUITES:
        raise UsageError(f"{path}: is of suite {document['suite']!r}, known are {', '.join(SUITES)}; {REMEDY}")
    _validate_fields(document, _PARTS, str(path))
    return document


def _validate_fields(entry: Any, parts: Mapping[str, type | tuple[type, ...]], where: str) -> None:
    if not isinstance(entry, dict):
        raise UsageError(f"{where}: is not a mapping; {REMEDY}")
    for name, kind in parts.items():
        if name not in entry:
            raise UsageError(f"{where}: lacks {name!r}; {REMEDY}")
        if not isinstance(entry[name], kind) or isinstance(entry[name], bool):
            raise UsageError(f"{where}: {name!r} is {entry[name]!r:.60}; {REMEDY}")


def _read_predictions(path: Path) -> list[dict[str, Any]]:
    """Read the predictions; an incomplete last line is an error, because a resumed run would complete it."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); {REMEDY}") from None
    whole, _, rest = text.rpartition(b"\n")
    if rest:
        raise UsageError(f"{path}: its last line is incomplete; resume with the same command of medmix eval")
    lines = []
    for number, data in enumerate(whole.split(b"\n") if whole else [], 1):
        try:
            line = json.loads(data)
        except (ValueError, RecursionError):
            line = None
        if not isinstance(line, dict) or not {"id", "benchmark", "group", "system"} <= line.keys():
            raise UsageError(f"{path}, line {number}: is not a prediction; {REMEDY}")
        lines.append(line)
    return lines


def _validate_counts(result: Result, predictions: Sequence[Prediction], path: Path) -> None:
    """Compare the number of predictions with the `n` of the scores."""
    if result.suite == "answers":
        counts = Counter(
            (line["system"], line["benchmark"], subset, line.get("correct") is None)
            for line in predictions
            for subset in line.get("subsets", ())
        )
        wanted = {
            (row["system"], row["benchmark"], row["subset"], not row["metric"].startswith("choice_")): row["n"]
            for row in result.scores
        }
    else:
        counts = Counter(("model", line["benchmark"], str(line.get("seed")), True) for line in predictions)
        wanted = {
            ("model", row["benchmark"], str(row["seed"]), True): row["n"]
            for row in result.scores
            if row["seed"] is not None
        }
    for key, n in wanted.items():
        if counts[key] != n:
            system, benchmark, part, _ = key
            raise UsageError(
                f"{path}: has {counts[key]} predictions of {system} on {benchmark} {part}, its scores are "
                f"of {n}; it is incomplete or of another run: resume with the same command of medmix eval"
            )
