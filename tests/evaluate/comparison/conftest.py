"""Files of results as `medmix eval` writes them, made of answers that stand in the test."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medmix.evaluate.answers import scores

GOLDS = {
    "pathvqa/test/1": ("yes", "closed", "slide-1"),
    "pathvqa/test/2": ("no", "closed", "slide-1"),
    "pathvqa/test/3": ("spleen", "open", "slide-2"),
    "pathvqa/test/4": ("left kidney", "open", "slide-3"),
}
"""By question the right answer, its type and the image."""

LEAK = {"source": "roco", "set": "pathvqa test", "image": 3, "near-duplicate": 0, "panel": 2, "text": 0, "group": 5}
LEAK |= {"leaks": {"image": 3, "panel": 1}}
OTHERS = {"text": "kept clean of other items (1 of 3)", "covered": 1, "scored": 3}


def answers(folder: Path, digest: str, said: Sequence[str], **changed: Any) -> Path:
    """Write the results of a model that has said this; give the file."""
    lines = [
        _line(name, gold, kind, group, "model", answer)
        for (name, (gold, kind, group)), answer in zip(GOLDS.items(), said, strict=True)
    ]
    lines += [_line(name, gold, kind, group, "always_yes", "yes") for name, (gold, kind, group) in GOLDS.items()]
    document = {
        "format": 2,
        "suite": "answers",
        "model": {"name": "tiny", "path": f"runs/{digest}/step-00000002", "digest": digest * 8, "kind": "checkpoint"},
        "mix": {"path": "mixes/small", "digest": "d" * 64, "leaks": [LEAK], "contamination": {"pathvqa": OTHERS}},
        "protocol": {"dataset": str(folder), "split": "each benchmark's own", "limit": None, "batch_size": 4},
        "versions": {"medmix": "0.1.0"},
        "scores": scores.score_predictions(lines),
        "notes": [],
        "files": {"predictions": "predictions.jsonl"},
    }
    return write(folder, document | changed, lines)


def classes(folder: Path, name: str, predicted: Mapping[int, Sequence[str]], macro_f1: float, **changed: Any) -> Path:
    """Write the results of an encoder on four images of two classes, by seed; give the file."""
    truth = ["benign", "benign", "malignant", "malignant"]
    lines = [
        {
            "id": f"busi/{place}",
            "benchmark": "busi",
            "group": f"patient-{place // 2}",
            "system": "model",
            "seed": seed,
            "labels": [right],
            "predicted": [said],
            "scores": {},
        }
        for seed, mine in predicted.items()
        for place, (right, said) in enumerate(zip(truth, mine, strict=True))
    ]
    row = {"benchmark": "busi", "subset": "all", "system": "model", "metric": "macro_f1", "low": None, "high": None}
    row |= {"n": 4, "groups": 2}
    rows = [{**row, "seed": seed, "value": 0.0} for seed in predicted]
    about = {"classes": ["benign", "malignant"], "excluded_classes": [], "images": {"test": 4}, "units": {"test": 2}}
    document = {
        "format": 2,
        "suite": "classification",
        "model": {"name": name, "path": None, "digest": None, "kind": "encoder"},
        "mix": None,
        "protocol": {"mode": "finetune", "recipe": {"name": "transfer", "epochs": 100}, "datasets": {"busi": about}},
        "versions": {"medmix": "0.1.0"},
        "scores": [*rows, {**row, "seed": None, "value": macro_f1}],
        "notes": ["busi: a sample"],
        "files": {"predictions": "predictions.jsonl"},
    }
    return write(folder, document | changed, lines)


def write(folder: Path, document: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> Path:
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(document))
    (folder / "predictions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "results.json"


def _line(name: str, gold: str, kind: str, group: str, system: str, said: str) -> dict[str, Any]:
    return {
        "id": name,
        "benchmark": name.split("/")[0],
        "subsets": ["all", kind],
        "group": group,
        "system": system,
        "seed": None,
        "language": "en",
        "question": "?",
        "references": [gold],
        "prediction": said,
        "choices": [],
        "options": [],
        "correct": None,
    }
