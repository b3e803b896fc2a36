"""Whether a training mix was kept clean of the items that are scored, by their content and not by a set's name."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from medmix.curate.errors import UsageError
from medmix.curate.evaluationsets import item_keys
from medmix.curate.write import manifest
from medmix.train.data import stream

NOT_CHECKED = "not checked"
UNKNOWN_MIX = f"{NOT_CHECKED}: the training mix is unknown"
CLEAN = "clean"


class TrainingMix(NamedTuple):
    """The mix that a model was trained on: its folder, its manifest, and the items that it was kept clean of.

    Attributes:
        kept_clean: keys of the items (`item_keys`) of all evaluation sets whose leaks were dropped, or that have none.
        compared: the number of these items, by the name of their set.
        leaking: the names of the sets whose leaks were found and kept.
    """

    path: Path
    document: Mapping[str, Any]
    kept_clean: frozenset[str]
    compared: Mapping[str, int]
    leaking: frozenset[str]


class Statement(NamedTuple):
    """What is known of a scored set.

    Attributes:
        text: `clean`; `kept clean of other items (30 of 451)`, the items of that set that were compared and the scored
            ones, with the number of those that are both; or `not checked`, with the reason where it is known.
        covered, scored: the scored items that the mix was kept clean of, and all of them.
    """

    text: str
    covered: int
    scored: int


def load(path: Path, digest: str) -> TrainingMix | None:
    """Load the mix that a model was trained on; None if it is gone.

    Raises:
        UsageError: the folder has another mix, of another digest (`stream.mix_digest`).
    """
    if not (path / manifest.NAME).is_file():
        return None
    found = stream.mix_digest(path)
    if found != digest:
        raise UsageError(
            f"{path} is not the mix that the checkpoint was trained on (digest {found[:12]}, then {digest[:12]}), so "
            f"leaks are unknown; give the folder of that mix with --train-dataset, or --allow-leaks"
        )
    document, keys = manifest.read(path), item_keys.read(path)
    found_leaks = {row["set"] for row in document.get("leaks", ()) if row["leaks"]}
    known = [row for row in document.get("evaluation", ()) if row["checked"] and _has_keys(row, keys)]
    leaking = {row["set"] for row in known if row["leaks"] == "report"} & found_leaks
    clean = {row["set"]: row["items"] - row["unreadable"] for row in known if row["set"] not in leaking}
    kept_clean = frozenset(key for name in clean for key in keys[name])
    return TrainingMix(path, document, kept_clean, clean, frozenset(leaking))


def _has_keys(row: Mapping[str, Any], keys: Mapping[str, Collection[str]]) -> bool:
    """Whether the keys of a set are those that the manifest digests; a mix of the Hub may be here without them."""
    return item_keys.keys_digest(sorted(keys.get(row["set"], ()))) == row["items_sha256"]


def describe(mix: TrainingMix | None, name: str, scored: Collection[str], leaks: Sequence[str] = ()) -> Statement:
    """Describe what the mix was kept clean of.

    Args:
        mix: the training mix, None where it is unknown.
        name: of the scored set in manifests, `vqa_rad test`.
        scored: the keys of its scored items.
        leaks: known leaks of the set into training.
    """
    if mix is None:
        return Statement(UNKNOWN_MIX, 0, len(scored))
    covered = sum(key in mix.kept_clean for key in scored)
    if name in mix.leaking and not leaks:
        leaks = ["its leaks were reported and not dropped"]
    if leaks:
        return Statement(f"not clean: {'; '.join(leaks)}", covered, len(scored))
    if scored and covered == len(scored):
        return Statement(CLEAN, covered, len(scored))
    if covered or name in mix.compared:
        others = f"{mix.compared.get(name, covered):,} of {len(scored):,}"
        text = f"kept clean of other items ({others}); of the scored ones: {covered:,}"
        return Statement(text, covered, len(scored))
    return Statement(NOT_CHECKED, 0, len(scored))
