"""Score a checkpoint by the questions of a mix: greedy answers, exact match and BLEU-1, beside two controls."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from medmix.curate.errors import UsageError, WorkError
from medmix.curate.progress import track
from medmix.curate.shards import write_text
from medmix.train import checkpoint as checkpoints
from medmix.train import stream
from medmix.train.collate import Sample, collate, pixels
from medmix.train.loop import make_folder
from medmix.train.ranks import pick_device
from medmix.train.render import IGNORE, Renderer, answer_text

from . import metrics

TASKS = ("vqa", "mcqa", "qa")
"""The tasks that ask a question with a short answer."""

COLUMNS = ("id", "source", "task", "images", "messages", "question")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said to one record; `blank` is what it said with its images blanked, None without images."""

    id: str
    source: str
    question: str
    gold: str
    prediction: str
    blank: str | None


def evaluate(
    checkpoint: Path, mix: Path | None, out: Path, split: str = "test", limit: int | None = None
) -> dict[str, Any]:
    """Answer the questions of a split of a mix and write `results.json`, `predictions.jsonl` and `table.md`.

    Gold is the first line of what the assistant says in the record, the prediction the first line that
    the model says: an explanation follows on later lines. Two controls show what the scores are worth:
    `majority_answer` always gives the most frequent gold answer of the source's train split,
    `blank_image` is the model on records with images, each replaced by the mean colour.

    Args:
        checkpoint: one checkpoint, or a run, whose last one is taken.
        mix: folder of a mix; None takes the one that the checkpoint was trained on.
        out: folder to write to.
        split: of the mix.
        limit: at most so many records, taken evenly from the sources.

    Returns:
        What `results.json` holds.

    Raises:
        UsageError: checkpoint or mix cannot be used, or the split has no questions.
        WorkError: a record is broken, or `out` cannot be written.
    """
    loaded = checkpoints.load(checkpoint)
    loaded.model.to(pick_device())
    mix = mix or Path(loaded.state.mix)
    questions = stream.open_split(mix, split)
    total = sum(record["task"] in TASKS for record in stream.rows(questions, ("task",)))
    total = total if limit is None else min(total, limit)
    if not total:
        raise UsageError(f"{mix} has no {', '.join(TASKS)} records in its {split} split; give another split or mix")
    make_folder(out)
    records = (r for r in stream.records(questions, COLUMNS, seed=0, epoch=0) if r["task"] in TASKS)
    given = list(track(answers(loaded, islice(records, total)), total, "eval"))
    results = {
        "suite": "vqa",
        "split": split,
        "limit": limit,
        "checkpoint": {
            "path": str(loaded.path),
            "step": loaded.state.step,
            "digest": checkpoints.digest(loaded.path),
            "recipe": loaded.recipe.name,
            "mix_digest": loaded.state.mix_digest,
        },
        "mix": {"path": str(mix), "digest": stream.digest(mix)},
        "versions": checkpoints.versions(),
        "model": _by_source([(a.source, a.prediction, a.gold) for a in given]),
        "controls": {
            "majority_answer": _by_source(_majority(stream.open_split(mix, "train"), given)),
            "blank_image": _by_source([(a.source, a.blank, a.gold) for a in given if a.blank is not None]),
        },
    }
    try:
        write_text(out / "predictions.jsonl", "".join(_line(answer) for answer in given))
        write_text(out / "results.json", json.dumps(results, indent=2, ensure_ascii=False) + "\n")
        write_text(out / "table.md", table(results))
    except OSError as error:
        raise WorkError(f"{out} cannot be written ({error.strerror}); type the same command again") from error
    return results


def answers(loaded: checkpoints.Checkpoint, records: Iterable[dict[str, Any]]) -> Iterator[Answer]:
    """Yield the model's greedy answers, `generation.batch` records at a time; gold is never shown to it."""
    renderer = Renderer(
        loaded.tokenizer, loaded.recipe.text, loaded.model.image_tokens, loaded.recipe.vision.max_images
    )
    remaining = iter(records)
    while some := list(islice(remaining, loaded.recipe.generation.batch)):
        samples = []
        for record in some:
            ids = renderer.prompt_ids(record)
            samples.append(Sample(record["id"], ids, [IGNORE] * len(ids), pixels(record, loaded.recipe.vision)))
        said = generate(loaded, samples)
        with_images = [sample for sample in samples if sample.pixels]
        blank = dict(zip((s.id for s in with_images), generate(loaded, with_images, blank=True), strict=True))
        for record, text in zip(some, said, strict=True):
            gold = first_line(answer_text(record))
            yield Answer(record["id"], record["source"], record["question"], gold, text, blank.get(record["id"]))


def generate(loaded: checkpoints.Checkpoint, samples: list[Sample], blank: bool = False) -> list[str]:
    """Give the first line of the greedy answer to each prompt; with `blank`, every image is the mean colour."""
    if not samples:
        return []
    batch = collate(samples, loaded.tokenizer.pad_token_id, loaded.recipe.vision.size, side="left")
    batch = (batch.blank() if blank else batch).to(loaded.model.device)
    ids = loaded.model.generate(batch, loaded.recipe.generation.max_new_tokens)
    return [first_line(text) for text in loaded.tokenizer.batch_decode(ids, skip_special_tokens=True)]


def first_line(text: str) -> str:
    """Give the first line that is not blank, stripped, or ""."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def table(results: dict[str, Any]) -> str:
    """Lay the scores out in Markdown: a row for each source and overall, the controls beside the model."""
    columns = {"model": results["model"], **results["controls"]}
    head = ["source", "n", *(f"{metric} {name}" for metric in metrics.METRICS for name in columns)]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for source in [*results["model"]["sources"], "overall"]:
        entries = {name: _entry(column, source) for name, column in columns.items()}
        cells = [
            f"{entries[name][metric]:.3f}" if entries[name] else "" for metric in metrics.METRICS for name in columns
        ]
        lines.append([source, str(entries["model"]["n"]), *cells])
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    made_of = f"{results['checkpoint']['path']} on the {results['split']} split of {results['mix']['path']}"
    return f"{made_of}\n\n{rows}\n"


def _entry(column: dict[str, Any], source: str) -> dict[str, float]:
    found: dict[str, float] = column["overall"] if source == "overall" else column["sources"].get(source, {})
    return found


def _by_source(scored: list[tuple[str, str, str]]) -> dict[str, Any]:
    """Score (source, prediction, gold) triples, overall (each record weighs the same) and for each source."""
    if not scored:
        return {"overall": {}, "sources": {}}
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for source, prediction, gold in scored:
        groups[source].append((prediction, gold))
    return {
        "overall": metrics.score([said for _, said, _ in scored], [gold for _, _, gold in scored]),
        "sources": {
            source: metrics.score([said for said, _ in pairs], [gold for _, gold in pairs])
            for source, pairs in sorted(groups.items())
        },
    }


def _majority(train: stream.Split, given: list[Answer]) -> list[tuple[str, str, str]]:
    """Answer with the most frequent gold of the source's training records, the first in the alphabet of equals."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for record in stream.rows(train, ("id", "source", "task", "messages")):
        if record["task"] in TASKS:
            counts[record["source"]][first_line(answer_text(record))] += 1
    best = {source: min(golds, key=lambda gold: (-golds[gold], gold)) for source, golds in counts.items()}
    return [(answer.source, best.get(answer.source, ""), answer.gold) for answer in given]


def _line(answer: Answer) -> str:
    entry = {
        "id": answer.id,
        "source": answer.source,
        "question": answer.question,
        "gold": answer.gold,
        "prediction": answer.prediction,
        "correct": bool(metrics.exact_match(answer.prediction, answer.gold)),
        "blank_image_prediction": answer.blank,
    }
    return json.dumps(entry, ensure_ascii=False) + "\n"
