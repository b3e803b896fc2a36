"""Score every encoder on every dataset by one recipe; write `results.json`, predictions and a table."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from medmix.curate.config import nearest
from medmix.curate.describe.markup import text
from medmix.curate.errors import UsageError
from medmix.curate.evaluationsets.item_keys import item_key
from medmix.curate.shards import replacing, write_text
from medmix.train.run.loop import make_folder
from medmix.train.run.ranks import pick_device

from .. import contamination
from ..formatting import bulleted_section, markdown_table, with_interval
from . import recipe as recipes
from .backbone import CLASS_AND_MEAN
from .datasets import load as load_dataset_info
from .encoders import Encoder, open_encoder
from .prepare import PreparedDataset, describe, notes, prepare, read, test_images_in, training_image_digests
from .recipe import TransferRecipe
from .result_rows import ALL, prediction_lines, score_rows
from .runs import MODES, Mode, Run, RunSpec, load_or_run, versions
from .samples import first_ten
from .splitting import Leaks

FORMAT = 2
"""Of `results.json`, the same for all suites."""

DEFAULT_DATASETS = (
    "cxr8",
    "medfmc_chest",
    "medfmc_endo",
    "medfmc_colon",
    "busi",
    "medfmc_neojaundice",
    "kvasir",
    "bach",
)
"""Five that the paper names or probably means, and three whose images no source of the mix names."""


def evaluate(
    encoders: Sequence[str],
    out: Path,
    *,
    root: Path,
    datasets: Sequence[str] = (),
    recipe: str = "transfer",
    mode: Mode = "finetune",
    shots: int | None = None,
    seeds: Sequence[int] | None = None,
    overrides: Sequence[str] = (),
    leaks: Leaks | None = None,
    cache: Path | None = None,
    workers: int = 1,
) -> dict[str, dict[str, Any]]:
    """Transfer encoders to labelled datasets and score them.

    Each finished run is saved in `out`, so the same call resumes and repeats nothing. In one process on a CPU the
    numbers do not depend on interruptions.

    Args:
        encoders: names as in `encoders`.
        out: folder of `results.json`, `predictions.jsonl` and `table.md`; several encoders get a folder each, and one
            common table.
        root: folder with one folder per dataset.
        datasets: names, or paths of YAML files; empty takes `DEFAULT_DATASETS`.
        recipe: name, or path of a YAML file.
        mode: `finetune` encoder and head, or `linear-probe` the frozen encoder.
        shots: units (patients, slides, lesions), not images, of each class to train on; None takes the recipe's.
        seeds: None takes the recipe's.
        overrides: `key.sub=value` of the recipe.
        leaks: what to do if a test leaks into training, for all datasets; None takes each dataset's own rule.
        cache: folder for decoded images and features, which calls may share; None takes `out/cache`.
        workers: processes that decode.

    Returns:
        The content of `results.json` by encoder.

    Raises:
        UsageError: an encoder, dataset, recipe or mode is unknown or unusable; raised before any work if decoding is
            not needed to find out.
        WorkError: a loss is not finite.
    """
    settings = _settings(recipe, overrides, shots, seeds)
    if mode not in MODES:
        raise UsageError(f"mode {mode!r} is none of {', '.join(MODES)}{nearest(mode, MODES)}")
    if not encoders:
        raise UsageError("name at least one encoder")
    known = [load_dataset_info(name) for name in datasets or DEFAULT_DATASETS]
    twice = [name for name in {*encoders} if list(encoders).count(name) > 1]
    twice += [info.id for info in known if sum(other.id == info.id for other in known) > 1]
    names = [_folder(name) for name in encoders]
    twice += [name for name in {*names} if names.count(name) > 1]
    if twice:
        raise UsageError(f"{twice[0]} is named twice, or two have that name; score them one at a time")
    for info in known:
        read(info, root)
    opened = [open_encoder(name, settings) for name in encoders]
    make_folder(out)
    cache = cache or out / "cache"
    prepared: dict[int, list[PreparedDataset]] = {}
    found = {}
    for encoder, name in zip(opened, names, strict=True):
        size = encoder.size
        if size not in prepared:
            prepared[size] = [prepare(info, root, size, settings, leaks, cache, workers) for info in known]
        found[encoder.name] = _evaluate_one(
            encoder, prepared[size], settings, mode, out / name if len(names) > 1 else out
        )
    write_text(out / "table.md", table(found))
    return found


def _settings(name: str, overrides: Sequence[str], shots: int | None, seeds: Sequence[int] | None) -> TransferRecipe:
    more = [f"shots={shots}"] if shots is not None else []
    more += [f"seeds={list(seeds)}"] if seeds is not None else []
    return recipes.load(name, (*overrides, *more))


def _evaluate_one(
    encoder: Encoder, prepared: Sequence[PreparedDataset], recipe: TransferRecipe, mode: Mode, folder: Path
) -> dict[str, Any]:
    device = pick_device()
    runs = {
        one.info.id: [
            load_or_run(RunSpec(one, encoder, recipe, mode, seed), folder / "runs", device) for seed in recipe.seeds
        ]
        for one in prepared
    }
    trained_on = _training_mix(encoder)
    digests = training_image_digests(trained_on.path) if trained_on else None
    seen = {one.info.id: test_images_in(one, digests) for one in prepared} if digests is not None else {}
    mix = _mix_facts(encoder, trained_on, prepared, seen)
    scored = chain.from_iterable(score_rows(one, runs[one.info.id], recipe.n_bootstrap) for one in prepared)
    results = {
        "format": FORMAT,
        "suite": "classification",
        "model": _model(encoder),
        "mix": mix,
        "protocol": _protocol(encoder, prepared, runs, recipe, mode, seen),
        "versions": versions(mode),
        "scores": list(scored),
        "notes": [
            *_encoder_note(encoder),
            *(note for one in prepared for note in [*notes(one, recipe.shots), *_overlap_note(one, seen)]),
        ],
        "files": {"predictions": "predictions.jsonl"},
    }
    with replacing(folder / "predictions.jsonl") as temporary, temporary.open("w", encoding="utf-8") as file:
        for one in prepared:
            file.writelines(prediction_lines(one, runs[one.info.id]))
    text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
    write_text(folder / "results.json", text)
    found: dict[str, Any] = json.loads(text)  # as it is read from the file
    return found


def _training_mix(encoder: Encoder) -> contamination.TrainingMix | None:
    """Return the mix that a checkpoint was trained on; None if it is gone, or another one is at its place."""
    mix = encoder.metadata.get("mix")
    try:
        return contamination.load(Path(mix["path"]), mix["digest"]) if mix else None
    except UsageError:
        return None


def _mix_facts(
    encoder: Encoder,
    mix: contamination.TrainingMix | None,
    prepared: Sequence[PreparedDataset],
    seen: Mapping[str, list[str]],
) -> dict[str, Any] | None:
    """Return facts about the training mix of a checkpoint, with a statement on each dataset."""
    known = encoder.metadata.get("mix")
    if known is None:
        return None
    statements = {}
    for one in prepared:
        keys = [item_key([one.images.file_digests[index]], None) for index in one.split.indices["test"]]
        count = len(seen.get(one.info.id, ()))
        leaks = [f"{count:,} of its test images are in training"] if count else []
        statements[one.info.id] = contamination.describe(mix, one.info.id, keys, leaks)._asdict()
    return {**known, "leaks": list(mix.document.get("leaks", ())) if mix else None, "contamination": statements}


def _model(encoder: Encoder) -> dict[str, Any]:
    return {
        "name": encoder.name,
        "path": encoder.path,
        "digest": encoder.digest,
        "kind": encoder.kind,
        "pooling": encoder.pooling,
        "width": encoder.width,
        "pixels": {"size": encoder.size, "mean": list(encoder.mean), "std": list(encoder.std)},
        **{key: value for key, value in encoder.metadata.items() if key != "mix"},
    }


def _protocol(
    encoder: Encoder,
    prepared: Sequence[PreparedDataset],
    runs: Mapping[str, Sequence[Run]],
    recipe: TransferRecipe,
    mode: Mode,
    seen: Mapping[str, list[str]],
) -> dict[str, Any]:
    return {
        "mode": mode,
        "recipe": asdict(recipe),
        "head": f"linear, {encoder.width} to the classes, on {encoder.pooling}",
        "early_stopping": False,
        "intervals": "95 %, bootstrap over the units of the test (evaluate/intervals.py); all seeds share the draws",
        "macro": "unweighted mean over the classes with positives in the test",
        "datasets": {
            one.info.id: {
                **describe(one),
                "test_images_in_training": len(seen[one.info.id]) if one.info.id in seen else None,
                "runs": [
                    {
                        "seed": made.seed,
                        "n_train": made.n_train,
                        "n_validation": made.n_validation,
                        "thresholds": None if made.thresholds is None else made.thresholds.tolist(),
                        "c": made.c,
                    }
                    for made in runs[one.info.id]
                ],
            }
            for one in prepared
        },
    }


def _encoder_note(encoder: Encoder) -> list[str]:
    if encoder.metadata.get("class_token_trained", True) or encoder.pooling != CLASS_AND_MEAN:
        return []
    return [
        f"{encoder.name}: its class token was not input to the language model in pretraining (vision.cls_token: "
        "false), so that half of each feature vector was trained only through the patches"
    ]


def _overlap_note(prepared: PreparedDataset, seen: Mapping[str, list[str]]) -> list[str]:
    keys = seen.get(prepared.info.id, [])
    count = f"{len(keys)} of {len(prepared.split.indices['test'])} test images"
    return [f"{prepared.info.id}: the encoder was trained on {count} (equal bytes): {first_ten(keys)}"] if keys else []


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the macro-F1 as a Markdown table: a row per dataset, a column per encoder and for the majority class."""
    first = next(iter(results.values()))
    names = list(dict.fromkeys(row["benchmark"] for row in first["scores"]))
    head = ["dataset", "test images", "units", *results, "majority class"]
    rows = []
    for name in names:
        own = [_row(document, name, "model") for document in results.values()]
        counts = [f"{own[0]['n']:,}", f"{own[0]['groups']:,}"]
        spreads = [_row(document, name, "model", "macro_f1_sd_over_seeds") for document in results.values()]
        cells = [_cell(row, spread) for row, spread in zip(own, spreads, strict=True)]
        rows.append([name, *counts, *cells, _cell(_row(first, name, "majority_class"), None)])
    protocol = first["protocol"]
    return (
        f"Macro-F1 by {text(protocol['mode'])} under {text(protocol['recipe']['name'])}, seeds "
        f"{', '.join(map(str, protocol['recipe']['seeds']))}: mean over seeds [95 % interval over units] "
        f"± standard deviation over seeds.\n\n{markdown_table(head, rows, 1)}\n"
        + "\n".join(bulleted_section("Training on the scored images", _statements(results)))
        + "\n"
    )


def _statements(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what the training mix of each encoder was kept clean of, a line for each dataset."""
    lines = []
    for encoder, document in results.items():
        names = dict.fromkeys(row["benchmark"] for row in document["scores"])
        for name in names:
            known = document["mix"]["contamination"][name]["text"] if document["mix"] else contamination.NOT_CHECKED
            lines.append(f"{encoder} on {name}: {known}")
    return lines


def _row(document: Mapping[str, Any], benchmark: str, system: str, metric: str = "macro_f1") -> Any:
    wanted = {"benchmark": benchmark, "subset": ALL, "system": system, "metric": metric, "seed": None}
    return next((row for row in document["scores"] if wanted.items() <= row.items()), None)


def _cell(row: Any, spread: Any) -> str:
    return "" if row is None else with_interval(row, spread and spread["value"])


def _folder(name: str) -> str:
    """Return the folder name of an encoder's results: that of its file or folder, else its given name."""
    shown = Path(name).resolve().name if Path(name).exists() else name.partition("=")[0]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", shown).strip("-.") or "encoder"
