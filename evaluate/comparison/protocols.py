"""The settings that must be equal for two scores to be in one table."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from medmix.curate.config import flatten

from .results import Result
from .sample_scores import CHOICES, Key, SampleScores

_MODEL_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "answers": ("dataset", "batch_size", "controls", "images"),
    "classification": ("head", "datasets", "recipe.name", "recipe.scratch"),
}
"""Parts of a protocol that belong to the model or change no score; samples are compared separately."""


def comparable_settings(result: Result) -> dict[str, Any]:
    """Return the settings that decide the scores besides model and samples, by full names as `recipe.epochs`."""
    excluded = _MODEL_SETTINGS[result.suite]
    return {
        name: value
        for name, value in sorted(flatten(dict(result.protocol)).items())
        if not any(name == part or name.startswith(f"{part}.") for part in excluded)
    }


def setting_differences(first: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Describe how a protocol differs from the first one, a line each."""
    return [
        f"{name} is {json.dumps(other.get(name))}, not {json.dumps(first.get(name))}"
        for name in sorted({*first, *other})
        if first.get(name) != other.get(name)
    ]


def samples_digest(result: Result, scores: Mapping[Key, SampleScores], key: Key) -> str:
    """Digest the samples of a score, their references, and the sizes of the splits that an encoder was tuned on."""
    has_options = key.metric in CHOICES
    same = next(
        mine
        for other, mine in scores.items()
        if (other.benchmark, other.subset, other.metric in CHOICES) == (key.benchmark, key.subset, has_options)
    )
    info = result.protocol.get("datasets", {}).get(key.benchmark, {})
    known = [same.ids, same.references, *(info.get(name) for name in ("images", "units", "group_by"))]
    return hashlib.sha256(json.dumps(known, ensure_ascii=False).encode()).hexdigest()
