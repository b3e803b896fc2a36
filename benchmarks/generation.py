"""Batched answers compared with one question at a time, and options scored together compared with each alone.

The same models on the same questions of the sample mix, images included; greedy, with a KV cache in both. Models start
at random, so the end token is held back and every answer has the same number of tokens.

    python benchmarks/generation.py --threads 1
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from medmix.curate import sampledata  # noqa: E402
from medmix.curate.build import BuildOptions, build  # noqa: E402
from medmix.curate.mixtures import load as load_mixture  # noqa: E402
from medmix.evaluate.answers.batching import Prompts  # noqa: E402
from medmix.evaluate.answers.images import QuestionImages  # noqa: E402
from medmix.evaluate.answers.likelihood import option_logliks  # noqa: E402
from medmix.evaluate.answers.mix_split import read_questions  # noqa: E402
from medmix.evaluate.answers.questions import Question  # noqa: E402
from medmix.train import recipes  # noqa: E402
from medmix.train.data.collate import Sample, collate  # noqa: E402
from medmix.train.data.render import IGNORE_INDEX, Renderer  # noqa: E402
from medmix.train.run import checkpoint, loop  # noqa: E402
from medmix.train.run.checkpoint import Checkpoint  # noqa: E402

SHAPES = {
    "smoke-cpu": "{hidden_size: 128, intermediate_size: 256, num_hidden_layers: 2, num_attention_heads: 4}",
    "8 layers of 512": "{hidden_size: 512, intermediate_size: 1376, num_hidden_layers: 8, num_attention_heads: 8}",
}
Item = TypeVar("Item")


def model(mix: Path, shape: str, folder: Path, tokens: int) -> Checkpoint:
    """Make a model of this shape, which answers with so many tokens."""
    loop.train(
        mix,
        recipes.load("smoke-cpu", (f"language.shape={shape}", "run.steps=2", "optim.warmup_steps=0")),
        folder,
        False,
    )
    loaded = checkpoint.load(folder)
    loaded.model.base.generation_config.min_new_tokens = tokens
    return loaded


def prompts(
    loaded: Checkpoint, questions: Sequence[Question], image_store: QuestionImages
) -> tuple[list[Sample], list[Any]]:
    """Give the prompts with their images, the longest first, and the ids of their options."""
    renderer = Renderer(
        loaded.tokenizer, loaded.recipe.text, loaded.model.image_tokens, loaded.recipe.vision.max_images
    )
    made = Prompts(renderer)
    ordered = sorted(questions, key=lambda question: -len(made.ids(question)))
    samples = []
    for question in ordered:
        ids = made.ids(question)
        samples.append(
            Sample(question.id, ids, [IGNORE_INDEX] * len(ids), [image_store.tensor(key) for key in question.images])
        )
    return samples, [made.option_ids(question) for question in ordered]


class Spent(NamedTuple):
    """Seconds by the clock, and of the processor, on which other work beside it tells less."""

    clock: float
    processor: float


def timed(work: Callable[[], Item]) -> tuple[Item, Spent]:
    """Do the work twice; give its result and the shorter times."""
    spent = []
    for _ in range(2):
        started = time.perf_counter(), time.process_time()
        result = work()
        spent.append((time.perf_counter() - started[0], time.process_time() - started[1]))
    return result, Spent(*map(min, zip(*spent, strict=True)))


def in_batches(loaded: Checkpoint, samples: Sequence[Sample], size: int, tokens: int) -> list[list[int]]:
    """Answer so many prompts at a time."""
    said = []
    for start in range(0, len(samples), size):
        some = samples[start : start + size]
        batch = collate(some, loaded.tokenizer.pad_token_id, loaded.recipe.vision.size, side="left")
        said += loaded.model.generate(batch, tokens).tolist()
    return said


def scored(loaded: Checkpoint, samples: Sequence[Sample], options: Sequence[Any], size: int) -> list[list[float]]:
    """Score the options of so many prompts at a time."""
    found = []
    for start in range(0, len(samples), size):
        found += option_logliks(loaded, samples[start : start + size], options[start : start + size])
    return found


@torch.inference_mode()
def each_alone(loaded: Checkpoint, samples: Sequence[Sample], options: Sequence[Any]) -> list[list[float]]:
    """Score every option by a forward pass of its own over prompt and option, the naive way."""
    found = []
    for sample, some in zip(samples, options, strict=True):
        scores = []
        for option in some:
            ids = [*sample.input_ids, *option]
            batch = collate(
                [Sample("", ids, ids, sample.pixels)], loaded.tokenizer.pad_token_id, loaded.recipe.vision.size
            )
            logits = loaded.model.logits(batch)[0, len(sample.input_ids) - 1 : -1].log_softmax(dim=1)
            scores.append(float(logits[torch.arange(len(option)), torch.tensor(option)].sum()))
        found.append(scores)
    return found


def main() -> None:
    """Print one table for answers and one for options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=8, help="of an answer")
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 32, 64])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    machine = f"{arguments.threads} threads on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sampledata.write(folder / "sources", 0)
        build(load_mixture("sample"), folder / "sources", folder / "mix", BuildOptions(workers=1))
        for name, shape in SHAPES.items():
            loaded = model(folder / "mix", shape, folder / name, arguments.tokens)
            image_store = QuestionImages(folder / "images", loaded.recipe.vision)
            questions = read_questions(folder / "mix", "test", (), image_store)
            free = [question for question in questions if not question.options][: arguments.samples]
            choices = [question for question in questions if question.options][: arguments.samples // 4]
            answers(name, loaded, prompts(loaded, free, image_store)[0], arguments.batches, arguments.tokens)
            likelihoods(name, loaded, *prompts(loaded, choices, image_store))


def answers(name: str, loaded: Checkpoint, samples: list[Sample], batches: Sequence[int], tokens: int) -> None:
    """Print samples and tokens a second for each size of batch, and how many answers are those of the loop."""
    weights = sum(parameter.numel() for parameter in loaded.model.parameters()) / 1e6
    lengths = [len(sample.input_ids) for sample in samples]
    print(f"\n{name}: {weights:.1f} M weights, {len(samples)} prompts of {min(lengths)} to {max(lengths)} tokens")
    print(
        f"{'batch':>8} {'samples/s':>10} {'tokens/s':>10} {'times':>6} {'times, processor':>17}  answers as one by one"
    )
    alone, slow = timed(lambda: in_batches(loaded, samples, 1, tokens))
    for size in (1, *batches):
        said, fast = timed(lambda size=size: in_batches(loaded, samples, size, tokens)) if size > 1 else (alone, slow)
        equal = sum(ours == theirs for ours, theirs in zip(said, alone, strict=True))
        speed = f"{len(samples) / fast.clock:>10.1f} {sum(map(len, said)) / fast.clock:>10.1f}"
        times = f"{slow.clock / fast.clock:>6.1f} {slow.processor / fast.processor:>17.1f}"
        print(f"{size:>8} {speed} {times}  {equal} of {len(samples)}", flush=True)


def likelihoods(name: str, loaded: Checkpoint, samples: list[Sample], options: list[Any]) -> None:
    """Print options a second, each alone and those of eight prompts together."""
    count = sum(map(len, options))
    alone, slow = timed(lambda: each_alone(loaded, samples, options))
    together, fast = timed(lambda: scored(loaded, samples, options, 8))
    pairs = zip(chain(*alone), chain(*together), strict=True)
    apart = max(abs(one - other) for one, other in pairs)
    print(
        f"options a second: each alone {count / slow.clock:.1f}, together {count / fast.clock:.1f} "
        f"({slow.clock / fast.clock:.1f} times, of the processor {slow.processor / fast.processor:.1f}); "
        f"largest difference {apart:.1e} nats",
        flush=True,
    )


if __name__ == "__main__":
    main()
