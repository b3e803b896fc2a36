"""What the mix that a model was trained on shares with a benchmark, by its manifest, to stand beside the score."""

from typing import Any

from medmix.curate.decide.leaks import KINDS, LEAKS

from .results import Result

NOT_LOOKED_FOR = "the mix of the training was not kept clean of it"


def of_benchmark(result: Result, benchmark: str) -> dict[str, Any]:
    """Say what is known of leaks.

    Returns:
        `known`: whether the mix is; `text`: one short sentence; `shared`: records of the mix by kind, before the build
        dropped any (`curate/decide/leaks.py`); `trained_on`: test images that the model was trained on, where that was
        counted.
    """
    seen = result.protocol.get("sets", {}).get(benchmark, {}).get("test_images_trained_on")
    found: dict[str, Any] = {"known": False, "text": "", "shared": {}, "trained_on": seen}
    rows = None if result.mix is None else result.mix.get("leaks")
    if result.mix is None and result.model.get("kind") != "checkpoint":
        return found | {"text": "not trained on a mix of medmix"}
    if rows is None:
        return found | {"text": "the mix is not known, or no longer there"}
    if any(note.startswith(f"{benchmark}: {NOT_LOOKED_FOR}") for note in result.notes):
        return found | {"text": "the mix was not kept clean of it, leaks were not looked for"}
    mine = [row for row in rows if row["set"].split()[0] == benchmark]
    shared = {kind: total for kind in KINDS if (total := sum(row.get(kind, 0) for row in mine))}
    text = ", ".join(f"{count:,} {kind}" for kind, count in shared.items())
    if not text:
        text = "none recorded" if result.suite == "vqa" else "no matrix on this set"
    if seen is not None:
        text += f"; {seen:,} test images trained on"
    return found | {"known": bool(mine) or result.suite == "vqa", "text": text, "shared": shared}


def matrices(results: list[Result]) -> list[dict[str, Any]]:
    """Give the leak matrix of each mix, as far as the results hold it."""
    found: dict[str, dict[str, Any]] = {}
    for result in results:
        if result.mix and result.mix.get("leaks"):
            entry = found.setdefault(
                str(result.mix["digest"]), {"mix": result.mix["path"], "digest": result.mix["digest"], "rows": []}
            )
            entry["rows"] += [row for row in result.mix["leaks"] if row not in entry["rows"]]
    return list(found.values())


__all__ = ["KINDS", "LEAKS", "matrices", "of_benchmark"]
