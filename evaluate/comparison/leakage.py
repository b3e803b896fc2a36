"""What the training mix of a model shares with a benchmark, from its manifest."""

from collections.abc import Mapping
from typing import Any

from medmix.curate.decide.leaks import BY_RULE, KINDS

from .results import Result


def leaks_into_benchmark(result: Result, benchmark: str) -> dict[str, Any]:
    """Describe the known leaks.

    Returns:
        `known`: whether the leaks are known; `text`: one short sentence, which begins with what the mix was kept clean
        of (`evaluate/contamination.py`); `shared`: records of the mix by kind, before the build dropped any
        (`curate/decide/leaks.py`); `leaks`: those of them that leak; `test_images_in_training`: how many, if that was
        counted.
    """
    seen = result.protocol.get("datasets", {}).get(benchmark, {}).get("test_images_in_training")
    found: dict[str, Any] = {"known": False, "text": "", "shared": {}, "leaks": {}, "test_images_in_training": seen}
    rows = None if result.mix is None else result.mix.get("leaks")
    if result.mix is None and result.model.get("kind") != "checkpoint":
        return found | {"text": "not checked: not trained on a mix of medmix"}
    if result.mix is None or rows is None:
        return found | {"text": "not checked: the training mix is unknown or missing"}
    statement = result.mix.get("contamination", {}).get(benchmark, {"text": "not checked"})["text"]
    mine = [row for row in rows if row["set"].split()[0] == benchmark]
    shared = {kind: total for kind in KINDS if (total := sum(row.get(kind, 0) for row in mine))}
    leaks = {kind: total for kind in KINDS if (total := sum(row["leaks"].get(kind, 0) for row in mine))}
    parts = [statement, ", ".join(_counted(kind, count, leaks) for kind, count in shared.items())]
    parts += [] if seen is None else [f"{seen:,} test images in training"]
    known = not statement.startswith("not checked")
    return found | {"known": known, "text": "; ".join(filter(None, parts)), "shared": shared, "leaks": leaks}


def _counted(kind: str, count: int, leaks: Mapping[str, int]) -> str:
    """Give a count of records and, where a rule decides, how many of them leak."""
    return f"{count:,} {kind}" + (f" (leaks: {leaks.get(kind, 0):,})" if kind in BY_RULE else "")


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
