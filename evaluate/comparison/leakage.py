"""What the training mix of a model shares with a benchmark, from its manifest."""

from typing import Any

from medmix.curate.decide.leaks import KINDS

from .results import Result


def leaks_into_benchmark(result: Result, benchmark: str) -> dict[str, Any]:
    """Describe the known leaks.

    Returns:
        `known`: whether the leaks are known; `text`: one short sentence; `shared`: records of the mix by kind, before
        the build dropped any (`curate/decide/leaks.py`); `test_images_in_training`: how many, if that was counted.
    """
    seen = result.protocol.get("datasets", {}).get(benchmark, {}).get("test_images_in_training")
    found: dict[str, Any] = {"known": False, "text": "", "shared": {}, "test_images_in_training": seen}
    rows = None if result.mix is None else result.mix.get("leaks")
    if result.mix is None and result.model.get("kind") != "checkpoint":
        return found | {"text": "not trained on a mix of medmix"}
    if result.mix is None or rows is None:
        return found | {"text": "the training mix is unknown or missing"}
    if benchmark in result.mix.get("unchecked", ()):
        return found | {"text": "the training mix was not checked against it for leaks"}
    mine = [row for row in rows if row["set"].split()[0] == benchmark]
    shared = {kind: total for kind in KINDS if (total := sum(row.get(kind, 0) for row in mine))}
    text = ", ".join(f"{count:,} {kind}" for kind, count in shared.items())
    if not text:
        text = "none recorded" if result.suite == "answers" else "no leak matrix for this dataset"
    if seen is not None:
        text += f"; {seen:,} test images in training"
    return found | {"known": bool(mine) or result.suite == "answers", "text": text, "shared": shared}


def leak_matrices(results: list[Result]) -> list[dict[str, Any]]:
    """Return the leak matrix of each mix, as far as the results have it."""
    found: dict[str, dict[str, Any]] = {}
    for result in results:
        if result.mix and result.mix.get("leaks"):
            entry = found.setdefault(
                str(result.mix["digest"]), {"mix": result.mix["path"], "digest": result.mix["digest"], "rows": []}
            )
            entry["rows"] += [row for row in result.mix["leaks"] if row not in entry["rows"]]
    return list(found.values())
