"""What must be equal before two scores may stand in one table."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..answers.predictions import flat
from .results import Result
from .sample_scores import CHOICES, Key, Measure

_OF_THE_MODEL: Mapping[str, tuple[str, ...]] = {
    "vqa": ("asked", "batch", "controls", "images"),
    "classification": ("head", "sets", "recipe.name", "recipe.scratch"),
}
"""Parts of a protocol that are the model's own, or change no score; what is asked is compared by itself."""


def compared(result: Result) -> dict[str, Any]:
    """Give what decides on the scores besides model and samples, by whole names as `recipe.epochs`."""
    left_out = _OF_THE_MODEL[result.suite]
    return {
        name: value
        for name, value in sorted(flat(dict(result.protocol)).items())
        if not any(name == part or name.startswith(f"{part}.") for part in left_out)
    }


def differences(first: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Say in what a protocol is not the first one, a line each."""
    return [
        f"{name} is {json.dumps(other.get(name))}, not {json.dumps(first.get(name))}"
        for name in sorted({*first, *other})
        if first.get(name) != other.get(name)
    ]


def samples(result: Result, measures: Mapping[Key, Measure], key: Key) -> str:
    """Digest the samples of a score, what is right of them, and on how many others an encoder was tuned."""
    benchmark, subset, metric = key
    options = metric in CHOICES
    same = next(
        measure
        for (name, part, other), measure in measures.items()
        if (name, part, other in CHOICES) == (benchmark, subset, options)
    )
    about = result.protocol.get("sets", {}).get(benchmark, {})
    known = [same.ids, same.right, *(about.get(name) for name in ("images", "units", "split_by"))]
    return hashlib.sha256(json.dumps(known, ensure_ascii=False).encode()).hexdigest()
