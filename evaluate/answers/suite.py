"""Score a checkpoint by what it answers: to the benchmarks as upstream has them, or to the questions of a mix."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medmix.curate.progress import say, track
from medmix.curate.shards import write_text
from medmix.train.data.collate import Sample
from medmix.train.data.render import IGNORE, Renderer
from medmix.train.recipe import Recipe, as_dict
from medmix.train.run import checkpoint as checkpoints
from medmix.train.run.checkpoint import Checkpoint
from medmix.train.run.loop import make_folder
from medmix.train.run.ranks import pick_device

from .. import intervals, metrics
from . import loading, results_table, scores
from .batching import Batch, Prompts, batches
from .generation import Answerer
from .images import Pictures
from .likelihood import option_logliks
from .loading import Options
from .predictions import PREDICTIONS, Journal
from .questions import Question

FORMAT = 1

WHOLE = Options()
"""All questions of the test split of the mix that a model was trained on, and all controls."""


def evaluate(checkpoint: Path, out: Path, options: Options = WHOLE) -> dict[str, Any]:
    """Ask a model, and write `predictions.jsonl` as it answers, then `results.json` and `table.md`.

    A run that was stopped goes on after its last whole line; the files are the same, byte for byte, as those of a run
    that was not.

    Args:
        checkpoint: one checkpoint, or a run, whose last one is taken.
        out: folder to write to.
        options: what is asked, and how.

    Returns:
        What `results.json` holds.

    Raises:
        UsageError: checkpoint, benchmarks or mix cannot be used; all questions leak; `out` holds another run.
        WorkError: an image went while the work ran, or `out` cannot be written.
    """
    loaded = _load(checkpoint, options.batch)
    make_folder(out)
    with closing(Pictures(out / ".images", loaded.recipe.vision)) as pictures:
        asked = loading.read(loaded, options, pictures)
        prompts = Prompts(
            Renderer(loaded.tokenizer, loaded.recipe.text, loaded.model.image_tokens, loaded.recipe.vision.max_images)
        )
        counts = asked.counts if options.controls else None
        plan = list(batches(asked.questions, prompts, loaded.recipe.generation.batch, options.seed, counts))
        identity = _identity(loaded, plan, options)
        journal = Journal(out, identity, options.fresh)
        _answer(loaded, plan, prompts, pictures, journal, options.seed)
    results = {
        "format": FORMAT,
        "suite": "vqa",
        "model": {
            "name": loaded.recipe.name,
            "path": str(loaded.path),
            "digest": identity["checkpoint"],
            "kind": "checkpoint",
            "step": loaded.state.step,
            "recipe": _training(loaded.recipe),
            "seed": loaded.recipe.seed,
            "mix_digest": loaded.state.mix_digest,
        },
        "mix": asked.mix,
        "protocol": {"asked": asked.described, **identity["protocol"]},
        "versions": identity["versions"],
        "scores": scores.of_lines(journal.done),
        "notes": [*asked.notes, *_notes(plan, options)],
        "files": {"predictions": PREDICTIONS},
    }
    write_text(out / "results.json", json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    write_text(out / "table.md", results_table.markdown(results))
    return results


def _training(recipe: Recipe) -> str:
    """Digest what is trained, and how, but for the seed: equal for models whose scores have a mean."""
    plain = {name: value for name, value in as_dict(recipe).items() if name not in ("seed", "generation")}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _load(checkpoint: Path, batch: int | None) -> Checkpoint:
    """Load a checkpoint onto the device, with another size of batches where one is given."""
    loaded = checkpoints.load(checkpoint)
    loaded.model.to(pick_device())
    if batch is None:
        return loaded
    generation = replace(loaded.recipe.generation, batch=batch)
    return replace(loaded, recipe=replace(loaded.recipe, generation=generation))


def _identity(loaded: Checkpoint, plan: Sequence[Batch], options: Options) -> dict[str, Any]:
    """Give all that predictions depend on."""
    return {
        "format": FORMAT,
        "checkpoint": checkpoints.digest(loaded.path),
        "questions": _digest(plan),
        "protocol": _protocol(loaded, options),
        "versions": _versions(),
    }


def _answer(
    loaded: Checkpoint, plan: Sequence[Batch], prompts: Prompts, pictures: Pictures, journal: Journal, seed: int
) -> None:
    """Answer what is not answered yet, whole batches at a time."""
    journal.check([(batch.system, question.id) for batch in plan for question in batch.questions])
    ends: list[int] = []
    for batch in plan:
        ends.append((ends[-1] if ends else 0) + len(batch.questions))
    there = len(journal.done)
    if 0 < there < (ends[-1] if ends else 0):
        say(f"eval: going on after {there} of {ends[-1]} answers")
    left = [(batch, end) for batch, end in zip(plan, ends, strict=True) if end > there]
    answerer = Answerer(loaded) if left else None
    total = sum(len(batch.questions) for batch, _ in left)

    def lines() -> Iterator[dict[str, Any]]:
        for batch, end in left:
            made = _lines(loaded, batch, prompts, pictures, answerer, seed)
            missing = made[max(0, there - (end - len(made))) :]
            journal.append(missing)
            yield from made

    for _ in track(lines(), total, "eval"):
        pass


def _lines(
    loaded: Checkpoint, batch: Batch, prompts: Prompts, pictures: Pictures, answerer: Answerer | None, seed: int
) -> list[dict[str, Any]]:
    """Answer one batch."""
    if batch.answers or answerer is None:
        return [_line(batch, place, answer, seed) for place, answer in enumerate(batch.answers)]
    samples = []
    for question, keys in zip(batch.questions, batch.images, strict=True):
        ids = prompts.of(question)
        samples.append(Sample(question.id, ids, [IGNORE] * len(ids), _pixels(loaded, question, keys, pictures)))
    lines = [_line(batch, place, answer, seed) for place, answer in enumerate(answerer(samples))]
    if batch.questions[0].options:
        options = [prompts.options(question) for question in batch.questions]
        width = max(len(some) for some in options)
        step = max(1, len(samples) // width)  # options multiply the rows
        for start in range(0, len(samples), step):
            some = slice(start, start + step)
            logliks = option_logliks(loaded, samples[some], options[some])
            for line, found, tokens in zip(lines[some], logliks, options[some], strict=True):
                line["loglik"], line["option_tokens"] = found, [len(option) for option in tokens]
    return lines


def _pixels(loaded: Checkpoint, question: Question, keys: tuple[str, ...] | None, pictures: Pictures) -> list[Tensor]:
    shown = loaded.recipe.vision.max_images
    if keys is None:
        size = loaded.recipe.vision.size
        return [torch.zeros(3, size, size)] * len(question.images[:shown])
    return [pictures.tensor(key) for key in keys[:shown]]


def _line(batch: Batch, place: int, answer: str, seed: int) -> dict[str, Any]:
    question = batch.questions[place]
    return {
        "id": question.id,
        "benchmark": question.benchmark,
        "subsets": list(question.subsets),
        "group": question.group,
        "system": batch.system,
        "seed": seed if batch.system == "shuffled_images" else None,
        "language": question.language,
        "question": "\n".join(part["text"] for part in question.turn if part["type"] == "text"),
        "golds": list(question.golds),
        "prediction": answer,
        "choices": list(question.choices),
        "options": list(question.options),
        "correct": question.correct,
    }


def _protocol(loaded: Checkpoint, options: Options) -> dict[str, Any]:
    """Say all that decides on the numbers, besides the model and the questions."""
    recipe = loaded.recipe
    return {
        "split": "each benchmark's own" if options.root else options.split,
        "limit": options.limit,
        "controls": options.controls,
        "decoding": "greedy, the first line that is not blank",
        "max_new_tokens": recipe.generation.max_new_tokens,
        "batch": recipe.generation.batch,
        "prompt": asdict(recipe.text),
        "options": "scored as the assistant says them, letter and text, without the end token",
        "images": {"size": recipe.vision.size, "at_most": recipe.vision.max_images},
        "seed": options.seed,
        "intervals": f"percentiles of {intervals.RESAMPLES} bootstrap draws of whole groups, seed 0",
    }


def _versions() -> dict[str, str]:
    libraries = ("nltk", "sacrebleu", "torchmetrics")
    return checkpoints.versions() | {
        name: version(name) for name in libraries if name not in metrics.missing_libraries()
    }


def _notes(plan: Sequence[Batch], options: Options) -> list[str]:
    notes = []
    if absent := metrics.left_out():
        notes.append(f"not computed for want of a library (pip install 'medmix[eval]'): {', '.join(absent)}")
    if options.controls:
        for system in ("shuffled_images", "majority_answer"):
            asked = {batch.questions[0].benchmark for batch in plan if batch.system == "model"}
            seen = {batch.questions[0].benchmark for batch in plan if batch.images and any(batch.images)}
            wanted = asked & seen if system == "shuffled_images" else asked
            lacking = wanted - {batch.questions[0].benchmark for batch in plan if batch.system == system}
            why = "one image alone" if system == "shuffled_images" else "no train split at hand"
            if lacking:
                notes.append(f"no {system} for {', '.join(sorted(lacking))}: {why}")
    return notes


def _digest(plan: Sequence[Batch]) -> str:
    """Digest what is asked, shown and right, in its order: 64 hex digits."""
    state = hashlib.sha256()
    for batch in plan:
        for place, question in enumerate(batch.questions):
            shown = batch.images[place] if batch.images else None
            given = batch.answers[place] if batch.answers else None
            row = [batch.system, asdict(question), shown, given]
            state.update(json.dumps(row, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    return state.hexdigest()
