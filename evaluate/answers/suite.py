"""Score a checkpoint by its answers to the benchmarks as upstream ships them, or to the questions of a mix."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from medmix.curate.progress import say, track
from medmix.curate.shards import write_text
from medmix.train.data.collate import Sample
from medmix.train.data.render import IGNORE_INDEX, Renderer
from medmix.train.recipe import Recipe, as_dict
from medmix.train.run import checkpoint as checkpoints
from medmix.train.run.checkpoint import Checkpoint
from medmix.train.run.loop import make_folder
from medmix.train.run.ranks import pick_device

from .. import intervals, metrics
from . import image_text, results_table, scores
from .batching import Batch, Prompts, plan_batches
from .generation import AnswerGenerator
from .images import QuestionImages
from .likelihood import option_logliks
from .loading import EvalOptions, load_questions
from .predictions import PREDICTIONS, PredictionWriter
from .questions import Question

FORMAT = 2
"""Of `results.json` and `predictions.jsonl`."""

DEFAULT_OPTIONS = EvalOptions()
"""All questions of the test split of the mix that a model was trained on, and all controls."""


def evaluate(checkpoint: Path, out: Path, options: EvalOptions = DEFAULT_OPTIONS) -> dict[str, Any]:
    """Write `predictions.jsonl` as a model answers, then `results.json` and `table.md`.

    A stopped run resumes after its last complete line; its files are byte-identical to those of an uninterrupted run.

    Args:
        checkpoint: one checkpoint, or a run, whose last checkpoint is used.
        out: folder to write to.
        options: which questions, and how.

    Returns:
        The content of `results.json`.

    Raises:
        UsageError: checkpoint, benchmarks or mix are unusable; all questions leaked; `out` has another run.
        WorkError: an image disappeared during the run, or `out` cannot be written.
    """
    loaded = _load(checkpoint, options.batch_size)
    make_folder(out)
    with closing(QuestionImages(out / ".images", loaded.recipe.model or loaded.recipe.vision)) as image_store:
        evaluated = load_questions(loaded, options, image_store)
        prompts = Prompts(_renderer(loaded))
        counts = evaluated.counts if options.controls else None
        plan = list(
            plan_batches(evaluated.questions, prompts, loaded.recipe.generation.batch_size, options.seed, counts)
        )
        identity: dict[str, Any] = {
            "format": FORMAT,
            "checkpoint": checkpoints.digest(loaded.path),
            "questions": _digest(plan),
            "protocol": _protocol(loaded, options),
            "versions": _versions(),
        }
        writer = PredictionWriter(out, identity, options.overwrite)
        _Run(loaded, prompts, image_store, options.seed).complete(plan, writer)
    results = {
        "format": FORMAT,
        "suite": "answers",
        "model": {
            "name": loaded.recipe.name,
            "path": str(loaded.path),
            "digest": identity["checkpoint"],
            "kind": "checkpoint",
            "step": loaded.state.step,
            "recipe": _recipe_digest(loaded.recipe),
            "seed": loaded.recipe.seed,
            "mix_digest": loaded.state.mix_digest,
        },
        "mix": evaluated.mix,
        "protocol": {"dataset": evaluated.dataset, **identity["protocol"]},
        "versions": identity["versions"],
        "scores": scores.score_predictions(writer.done),
        "notes": [*evaluated.notes, *_notes(plan, options)],
        "files": {"predictions": PREDICTIONS},
    }
    write_text(out / "results.json", json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    write_text(out / "table.md", results_table.render_markdown(results))
    return results


def _recipe_digest(recipe: Recipe) -> str:
    """Digest the recipe without its seed: equal for models whose scores are averaged over seeds."""
    plain = {name: value for name, value in as_dict(recipe).items() if name not in ("seed", "generation")}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _renderer(loaded: Checkpoint) -> Renderer:
    """Make the renderer of the prompts."""
    if loaded.recipe.model:
        return cast(Any, image_text.renderer_of(loaded))
    recipe = loaded.recipe
    return Renderer(loaded.tokenizer, recipe.text, loaded.model.image_tokens, recipe.vision.max_images)


def _load(checkpoint: Path, batch_size: int | None) -> Checkpoint:
    """Load a checkpoint onto the device, with another batch size if one is given."""
    loaded = checkpoints.load(checkpoint)
    loaded.model.to(pick_device())
    if batch_size is None:
        return loaded
    generation = replace(loaded.recipe.generation, batch_size=batch_size)
    return replace(loaded, recipe=replace(loaded.recipe, generation=generation))


@dataclass(frozen=True, slots=True)
class _Run:
    """A model, the inputs of its questions, and the seed of the shuffled images."""

    loaded: Checkpoint
    prompts: Prompts
    image_store: QuestionImages
    seed: int

    def complete(self, plan: Sequence[Batch], writer: PredictionWriter) -> None:
        """Answer the questions that have no prediction yet, whole batches at a time."""
        writer.validate_order([(batch.system, question.id) for batch in plan for question in batch.questions])
        ends = list(accumulate(len(batch.questions) for batch in plan))
        done = len(writer.done)
        if 0 < done < ends[-1]:
            say(f"eval: resuming after {done} of {ends[-1]} answers")
        left = [(batch, end) for batch, end in zip(plan, ends, strict=True) if end > done]
        generator = AnswerGenerator(self.loaded) if left else None

        def written_lines() -> Iterator[dict[str, Any]]:
            for batch, end in left:
                lines = self._predict(batch, generator)
                writer.append(lines[max(0, done - (end - len(lines))) :])
                yield from lines

        for _ in track(written_lines(), sum(len(batch.questions) for batch, _ in left), "eval"):
            pass

    def _predict(self, batch: Batch, generator: AnswerGenerator | None) -> list[dict[str, Any]]:
        """Return the lines of one batch."""
        if batch.answers or generator is None:
            return [self._line(batch, index, answer) for index, answer in enumerate(batch.answers)]
        if self.loaded.recipe.model:
            chat_renderer: Any = self.prompts.renderer
            return self._answered(batch, image_text.prompt_samples(chat_renderer, batch, self.image_store), generator)
        samples = []
        for question, keys in zip(batch.questions, batch.images, strict=True):
            ids = self.prompts.ids(question)
            samples.append(Sample(question.id, ids, [IGNORE_INDEX] * len(ids), self._pixels(question, keys)))
        return self._answered(batch, samples, generator)

    def _answered(self, batch: Batch, samples: list[Any], generator: AnswerGenerator) -> list[dict[str, Any]]:
        """Return the lines of prompts."""
        lines = [self._line(batch, index, answer) for index, answer in enumerate(generator(samples))]
        if batch.questions[0].options:
            self._add_logliks(lines, samples, [self.prompts.option_ids(question) for question in batch.questions])
        return lines

    def _add_logliks(self, lines: list[dict[str, Any]], samples: list[Any], options: list[list[list[int]]]) -> None:
        logliks_of = image_text.option_logliks if self.loaded.recipe.model else option_logliks
        step = max(1, len(samples) // max(map(len, options)))  # options multiply the rows
        for start in range(0, len(samples), step):
            part = slice(start, start + step)
            logliks = logliks_of(self.loaded, samples[part], options[part])
            for line, values, ids in zip(lines[part], logliks, options[part], strict=True):
                line["loglik"], line["option_tokens"] = values, [len(option) for option in ids]

    def _pixels(self, question: Question, keys: tuple[str, ...] | None) -> list[Tensor]:
        vision = self.loaded.recipe.vision
        if keys is None:
            return [torch.zeros(3, vision.size, vision.size)] * len(question.images[: vision.max_images])
        return [self.image_store.tensor(key) for key in keys[: vision.max_images]]

    def _line(self, batch: Batch, index: int, answer: str) -> dict[str, Any]:
        question = batch.questions[index]
        return {
            "id": question.id,
            "benchmark": question.benchmark,
            "subsets": list(question.subsets),
            "group": question.group,
            "system": batch.system,
            "seed": self.seed if batch.system == "shuffled_images" else None,
            "language": question.language,
            "question": "\n".join(part["text"] for part in question.user_content if part["type"] == "text"),
            "references": list(question.references),
            "prediction": answer,
            "choices": list(question.choices),
            "options": list(question.options),
            "correct": question.correct,
        }


def _protocol(loaded: Checkpoint, options: EvalOptions) -> dict[str, Any]:
    """Return all settings that decide the numbers, besides the model and the questions."""
    recipe = loaded.recipe
    return {
        "split": "each benchmark's own" if options.root else options.split,
        "limit": options.limit,
        "controls": options.controls,
        "decoding": "greedy, the first line that is not blank",
        "max_new_tokens": recipe.generation.max_new_tokens,
        "batch_size": recipe.generation.batch_size,
        "prompt": asdict(recipe.text) | ({"template": "the model's own chat template"} if recipe.model else {}),
        "options": "scored as the assistant's text, letter and choice, without the end token",
        "images": {"processor": recipe.model.processor, "max_images": recipe.model.max_images}
        if recipe.model
        else {"size": recipe.vision.size, "max_images": recipe.vision.max_images},
        "seed": options.seed,
        "intervals": f"percentiles of {intervals.N_BOOTSTRAP} bootstrap draws of whole groups, seed 0",
    }


def _versions() -> dict[str, str]:
    libraries = ("nltk", "sacrebleu", "torchmetrics")
    return checkpoints.versions() | {
        name: version(name) for name in libraries if name not in metrics.missing_libraries()
    }


def _notes(plan: Sequence[Batch], options: EvalOptions) -> list[str]:
    notes = []
    if absent := metrics.unavailable_metrics():
        notes.append(f"not computed without their library (pip install 'medmix[eval]'): {', '.join(absent)}")
    if options.controls:
        scored = _benchmarks(batch for batch in plan if batch.system == "model")
        with_images = _benchmarks(batch for batch in plan if any(batch.images))
        for system, wanted, reason in (
            ("shuffled_images", scored & with_images, "it has only one image"),
            ("majority_answer", scored, "its train split is missing"),
        ):
            if lacking := wanted - _benchmarks(batch for batch in plan if batch.system == system):
                notes.append(f"no {system} for {', '.join(sorted(lacking))}: {reason}")
    return notes


def _benchmarks(batches: Iterator[Batch]) -> set[str]:
    return {batch.questions[0].benchmark for batch in batches}


def _digest(plan: Sequence[Batch]) -> str:
    """Digest questions, images and references in their order: 64 hex digits."""
    state = hashlib.sha256()
    for batch in plan:
        for index, question in enumerate(batch.questions):
            images = batch.images[index] if batch.images else None
            answer = batch.answers[index] if batch.answers else None
            row = [batch.system, asdict(question), images, answer]
            state.update(json.dumps(row, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    return state.hexdigest()
