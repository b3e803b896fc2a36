"""The suite: every encoder on every set under one recipe, written as `results.json`, predictions and a table."""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from medmix.curate.config import nearest
from medmix.curate.errors import UsageError
from medmix.curate.shards import replacing, write_text
from medmix.train.run.loop import make_folder
from medmix.train.run.ranks import pick_device

from . import recipe as recipes
from .backbone import CLASS_AND_MEAN
from .datasets import load as load_set
from .encoders import Encoder, open_encoder
from .prepare import Prepared, describe, notes, of_test, prepare, read, trained_on
from .recipe import TransferRecipe, as_dict
from .result_rows import ALL, predictions, rows
from .runs import MODES, Mode, Run, run, versions
from .samples import some
from .splitting import Leaks

FORMAT = 1
"""Of `results.json`, which all suites share."""

DEFAULT_SETS = (
    "cxr8",
    "medfmc_chest",
    "medfmc_endo",
    "medfmc_colon",
    "busi",
    "medfmc_neojaundice",
    "kvasir",
    "bach",
)
"""Five that the paper names, or is thought to mean, and three whose images stand in no source of the mix by name."""


def evaluate(
    encoders: Sequence[str],
    out: Path,
    *,
    root: Path,
    sets: Sequence[str] = (),
    recipe: str = "transfer",
    mode: Mode = "finetune",
    shots: int | None = None,
    seeds: Sequence[int] | None = None,
    overrides: Sequence[str] = (),
    leaks: Leaks | None = None,
    cache: Path | None = None,
    workers: int = 1,
) -> dict[str, dict[str, Any]]:
    """Transfer encoders to labelled sets and score them.

    Runs are kept in `out`, each as it ends, so that the same call goes on where it stopped, and does not repeat what is
    done. On one process of a CPU the numbers are the same however often it was killed.

    Args:
        encoders: names as in `encoders`.
        out: folder of `results.json`, `predictions.jsonl` and `table.md`; with several encoders of one folder for each,
            and of one table for all.
        root: folder with a folder for each set.
        sets: names, or paths of YAML files; none takes `DEFAULT_SETS`.
        recipe: name, or path of a YAML file.
        mode: `finetune` encoder and head, or `linear-probe` the frozen encoder.
        shots: train on so many units (patients, slides, lesions) of each class, not images; None takes the recipe's.
        seeds: None takes the recipe's.
        overrides: `key.sub=value` of the recipe.
        leaks: what to do about a test that leaks into training, for all sets; None takes each set's own rule.
        cache: folder for decoded images and vectors, which runs may share; None takes `out/cache`.
        workers: processes that decode.

    Returns:
        By encoder what its `results.json` holds.

    Raises:
        UsageError: an encoder, set, recipe or mode is unknown or cannot be used; raised before work starts, as far as
            that can be told without decoding images.
        WorkError: a loss is not finite.
    """
    settings = _settings(recipe, overrides, shots, seeds)
    if mode not in MODES:
        raise UsageError(f"mode {mode!r} is none of {', '.join(MODES)}{nearest(mode, MODES)}")
    if not encoders:
        raise UsageError("name one encoder at least")
    known = [load_set(name) for name in sets or DEFAULT_SETS]
    twice = [name for name in {*encoders} if list(encoders).count(name) > 1]
    twice += [facts.id for facts in known if sum(other.id == facts.id for other in known) > 1]
    names = [_folder(name) for name in encoders]
    twice += [name for name in {*names} if names.count(name) > 1]
    if twice:
        raise UsageError(f"{twice[0]} is named twice, or two go by that name; score them one at a time")
    for facts in known:
        read(facts, root)
    opened = [open_encoder(name, settings) for name in encoders]
    make_folder(out)
    cache = cache or out / "cache"
    ready: dict[int, list[Prepared]] = {}
    found = {}
    for encoder, name in zip(opened, names, strict=True):
        size = encoder.size
        if size not in ready:
            ready[size] = [prepare(facts, root, size, settings, leaks, cache, workers) for facts in known]
        found[encoder.name] = _evaluate_one(encoder, ready[size], settings, mode, out / name if len(names) > 1 else out)
    write_text(out / "table.md", table(found))
    return found


def _settings(name: str, overrides: Sequence[str], shots: int | None, seeds: Sequence[int] | None) -> TransferRecipe:
    more = [f"shots={shots}"] if shots is not None else []
    more += [f"seeds={list(seeds)}"] if seeds is not None else []
    return recipes.load(name, (*overrides, *more))


def _evaluate_one(
    encoder: Encoder, ready: Sequence[Prepared], recipe: TransferRecipe, mode: Mode, folder: Path
) -> dict[str, Any]:
    device = pick_device()
    runs = {
        one.facts.id: [run(one, encoder, recipe, mode, seed, folder / "runs", device) for seed in recipe.seeds]
        for one in ready
    }
    mix = encoder.about.get("mix")
    known = trained_on(Path(mix["path"])) if mix else None
    seen = {one.facts.id: of_test(one, known) for one in ready} if known is not None else {}
    scored = chain.from_iterable(rows(one, runs[one.facts.id], recipe.resamples) for one in ready)
    results = {
        "format": FORMAT,
        "suite": "classification",
        "model": _model(encoder),
        "mix": mix,
        "protocol": _protocol(encoder, ready, runs, recipe, mode, seen),
        "versions": versions(mode),
        "scores": list(scored),
        "notes": [
            *_encoder_note(encoder),
            *(note for one in ready for note in [*notes(one, recipe.shots), *_seen_note(one, seen)]),
        ],
        "files": {"predictions": "predictions.jsonl"},
    }
    with replacing(folder / "predictions.jsonl") as temporary, temporary.open("w", encoding="utf-8") as file:
        for one in ready:
            file.writelines(predictions(one, runs[one.facts.id]))
    text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
    write_text(folder / "results.json", text)
    found: dict[str, Any] = json.loads(text)  # as who reads the file has it
    return found


def _model(encoder: Encoder) -> dict[str, Any]:
    return {
        "name": encoder.name,
        "path": encoder.path,
        "digest": encoder.digest,
        "kind": encoder.kind,
        "pooling": encoder.pooling,
        "width": encoder.width,
        "pixels": {"size": encoder.size, "mean": list(encoder.mean), "std": list(encoder.std)},
        **{key: value for key, value in encoder.about.items() if key != "mix"},
    }


def _protocol(
    encoder: Encoder,
    ready: Sequence[Prepared],
    runs: Mapping[str, Sequence[Run]],
    recipe: TransferRecipe,
    mode: Mode,
    seen: Mapping[str, list[str]],
) -> dict[str, Any]:
    return {
        "mode": mode,
        "recipe": as_dict(recipe),
        "head": f"linear, {encoder.width} to the classes, on {encoder.pooling}",
        "early_stopping": False,
        "intervals": "95 %, bootstrap over the units of the test (evaluate/intervals.py); means over seeds share draws",
        "macro": "plain mean over the classes that have positives in the test",
        "sets": {
            one.facts.id: {
                **describe(one),
                "test_images_trained_on": len(seen[one.facts.id]) if one.facts.id in seen else None,
                "runs": [
                    {
                        "seed": made.seed,
                        "trained_on": made.trained_on[0],
                        "validated_on": made.trained_on[1],
                        "thresholds": None if made.thresholds is None else made.thresholds.tolist(),
                        "c": made.c,
                    }
                    for made in runs[one.facts.id]
                ],
            }
            for one in ready
        },
    }


def _encoder_note(encoder: Encoder) -> list[str]:
    if encoder.about.get("class_token_trained", True) or encoder.pooling != CLASS_AND_MEAN:
        return []
    return [
        f"{encoder.name}: its class token did not go to the language model in pretraining (vision.cls_token: false), "
        "so the half of each vector that is that token was shaped by the patches alone"
    ]


def _seen_note(ready: Prepared, seen: Mapping[str, list[str]]) -> list[str]:
    keys = seen.get(ready.facts.id, [])
    count = f"{len(keys)} of {len(ready.partition.places['test'])} test images"
    return [f"{ready.facts.id}: the encoder was trained on {count}, by their bytes: {some(keys)}"] if keys else []


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Lay the macro-F1 out in Markdown: a row for each set, a column for each encoder and the majority class."""
    first = next(iter(results.values()))
    names = list(dict.fromkeys(row["benchmark"] for row in first["scores"]))
    head = ["set", "test images", "units", *results, "majority class"]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for name in names:
        own = [_row(document, name, "model") for document in results.values()]
        counts = [f"{own[0]['n']:,}", f"{own[0]['groups']:,}"]
        spreads = [_row(document, name, "model", "macro_f1_sd_over_seeds") for document in results.values()]
        cells = [_cell(row, spread) for row, spread in zip(own, spreads, strict=True)]
        lines.append([name, *counts, *cells, _cell(_row(first, name, "majority_class"), None)])
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    protocol = first["protocol"]
    return (
        f"Macro-F1 by {protocol['mode']} under {protocol['recipe']['name']}, seeds "
        f"{', '.join(map(str, protocol['recipe']['seeds']))}: mean over seeds [95 % interval over units] "
        f"± spread over seeds.\n\n{body}\n"
    )


def _row(document: Mapping[str, Any], benchmark: str, system: str, metric: str = "macro_f1") -> Any:
    wanted = {"benchmark": benchmark, "subset": ALL, "system": system, "metric": metric, "seed": None}
    return next((row for row in document["scores"] if wanted.items() <= row.items()), None)


def _cell(row: Any, spread: Any) -> str:
    if row is None or row["value"] is None:
        return ""
    inside = "" if row["low"] is None else f" [{row['low']:.3f}, {row['high']:.3f}]"
    return f"{row['value']:.3f}{inside}" + ("" if spread is None else f" ± {spread['value']:.3f}")


def _folder(name: str) -> str:
    """Name the folder of an encoder's results: as its file or folder is called, else as it was asked for."""
    shown = Path(name).resolve().name if Path(name).exists() else name.partition("=")[0]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", shown).strip("-.") or "encoder"
