"""The training loop, from a mix and a recipe to a checkpoint; killed and started again it goes on exactly."""

import math
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import torch
from torch import nn

from medmix.curate.errors import UsageError, WorkError
from medmix.curate.progress import say

from . import checkpoint, stream, tokenizer
from .collate import Sample, collate, pixels
from .journal import Journal
from .model import VisionLanguageModel, load_tower, require_weights
from .recipe import Optim, Recipe, Run
from .render import IGNORE, Renderer, turn_texts

COLUMNS = ("id", "source", "images", "messages")


def train(mix: Path, recipe: Recipe, out: Path, progress: bool) -> dict[str, Any]:
    """Train on the mix's train split into the folder `out`, or go on from the last checkpoint there.

    On one machine, with one number of threads, mix and recipe alone decide the result, however often it
    was interrupted: each step seeds its own random numbers, and a checkpoint holds the place in the
    stream. Ctrl-C ends the step, writes a checkpoint and raises KeyboardInterrupt; a second one raises
    at once.

    Args:
        mix: folder of a built mix.
        recipe: what to train, and how.
        out: folder for `train_log.jsonl` and the checkpoints `step-NNNNNNNN`.
        progress: draw a bar; else print a line now and then.

    Returns:
        `steps`, `first_loss` and `last_loss` (nats per answer token), `seconds` of training over all
        starts, and `out`.

    Raises:
        UsageError: the mix has no training records, the recipe does not fit it, weights are not there,
            or `out` holds a run of another recipe or mix.
        WorkError: a loss is not finite, a record is broken, or a checkpoint cannot be written.
    """
    split = stream.open_split(mix, "train")
    if not len(split):
        raise UsageError(f"{mix} has no training records; see its ledger.parquet, and build another: medmix build")
    last_step = total_steps(recipe.run, len(split))
    if recipe.optim.warmup_steps >= last_step:
        raise UsageError(f"optim.warmup_steps: {recipe.optim.warmup_steps} is not below the {last_step} steps to train")
    mix_digest = stream.digest(mix)
    make_folder(out)

    found = checkpoint.steps(out)
    if found:
        checkpoint.refuse_other(found[-1], recipe, mix_digest)
        loaded = checkpoint.load(found[-1])
        model, words, step, seen = loaded.model, loaded.tokenizer, loaded.state.step, loaded.state.records
    else:
        require_weights(
            {"vision.weights.path": recipe.vision.weights, "language.weights.path": recipe.language.weights}
        )
        words, step, seen = _tokenizer(split, recipe), 0, 0
        torch.manual_seed(stream.derive_seed(recipe.seed, "start"))
        model = VisionLanguageModel(recipe, words)
        if recipe.vision.weights:
            load_tower(model.tower, recipe.vision.weights)

    device = pick_device()
    model.to(device).train()
    optimizer = make_optimizer(model, recipe.optim)
    if found:
        checkpoint.load_optimizer(found[-1], optimizer)
    journal = Journal(out / "train_log.jsonl", step, last_step, progress)
    if step == last_step:
        say(f"{out}: all {last_step} steps are done; next: medmix eval {out}")
        return {**journal.summary(), "out": str(out)}
    say(f"{out}: {_arithmetic(split, recipe, model, last_step)}, from step {step}, on {device}")

    renderer = Renderer(words, recipe.text, model.image_tokens, recipe.vision.max_images)
    samples = sample_stream(split, recipe, renderer, seen)
    with journal, ctrl_c_waits() as interrupted:
        while step < last_step:
            started = time.monotonic()
            torch.manual_seed(stream.derive_seed(recipe.seed, step))
            optimizer.param_groups[0]["lr"] = rate = learning_rate(recipe.optim, step, last_step)
            batch = list(islice(samples, recipe.run.batch))
            loss, gradient_norm = train_step(model, optimizer, batch, recipe, words.pad_token_id)
            step, seen = step + 1, seen + len(batch)
            journal.write(
                {
                    "step": step,
                    "epoch": seen / len(split),
                    "loss": loss,
                    "learning_rate": rate,
                    "gradient_norm": gradient_norm,
                    "tokens": sum(len(sample.input_ids) for sample in batch),
                    "answer_tokens": answer_tokens(batch),
                    "images": sum(len(sample.pixels) for sample in batch),
                    "seconds": time.monotonic() - started,
                }
            )
            if step % recipe.run.checkpoint_every == 0 or step == last_step or interrupted():
                state = checkpoint.State(step, seen, str(mix.resolve()), mix_digest, checkpoint.versions())
                checkpoint.save(out, model, words, recipe, state, optimizer)
            if interrupted() and step < last_step:
                raise KeyboardInterrupt
    return {**journal.summary(), "out": str(out)}


def train_step(
    model: VisionLanguageModel, optimizer: torch.optim.Optimizer, batch: list[Sample], recipe: Recipe, pad_id: int
) -> tuple[float, float]:
    """Do one optimiser step; give the loss in nats per answer token and the gradient's norm before clipping.

    The loss is the sum over the whole step divided by its answer tokens, so that `micro_batch` does not
    weigh records by the company that they are in.

    Raises:
        WorkError: the loss of a micro-batch, or the gradient, is not finite; the weights are as before.
    """
    tokens, total = answer_tokens(batch), 0.0
    optimizer.zero_grad()
    for start in range(0, len(batch), recipe.run.micro_batch):
        part = collate(batch[start : start + recipe.run.micro_batch], pad_id, recipe.vision.size).to(model.device)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=recipe.run.precision == "bf16"):
            loss = model(part) / tokens
        total += _finite("loss", loss.item(), part.ids)
        loss.backward()
    norm = nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], recipe.optim.clip).item()
    _finite("gradient's norm", norm, [sample.id for sample in batch])
    optimizer.step()
    return total, norm


def sample_stream(split: stream.Split, recipe: Recipe, renderer: Renderer, seen: int = 0) -> Iterator[Sample]:
    """Yield the training samples from the `seen`-th on, epoch after epoch, as many epochs as the recipe says."""
    first, skip = divmod(seen, len(split))
    epochs = count(first) if recipe.run.epochs is None else range(first, recipe.run.epochs)
    records = chain.from_iterable(
        stream.records(split, COLUMNS, recipe.seed, epoch, skip if epoch == first else 0) for epoch in epochs
    )
    for record in records:
        ids, labels = renderer.encode(record)
        yield Sample(record["id"], ids, labels, pixels(record, recipe.vision))


def total_steps(run: Run, records: int) -> int:
    """Give the number of optimiser steps; the last one of an epoch run may have fewer records."""
    return run.steps if run.steps is not None else math.ceil((run.epochs or 0) * records / run.batch)


def learning_rate(optim: Optim, step: int, last_step: int) -> float:
    """Give the rate of a step, from 0: linear warm-up, then constant or half a cosine down to 0.

    The cosine is that of Loshchilov and Hutter 2017 (arXiv 1608.03983) without restarts.
    """
    if step < optim.warmup_steps:
        return optim.lr * (step + 1) / optim.warmup_steps
    if optim.schedule == "constant":
        return optim.lr
    done = (step - optim.warmup_steps) / (last_step - optim.warmup_steps)
    return optim.lr * 0.5 * (1 + math.cos(math.pi * done))


def make_optimizer(model: nn.Module, optim: Optim) -> torch.optim.AdamW:
    """Make AdamW over the parameters that train, in one group."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(trained, lr=optim.lr, betas=optim.betas, weight_decay=optim.weight_decay)


def answer_tokens(batch: list[Sample]) -> int:
    """Count the positions that take part in the loss; at least 1 a record."""
    return sum(label != IGNORE for sample in batch for label in sample.labels)


def pick_device() -> torch.device:
    """Give the GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def make_folder(out: Path) -> None:
    """Make the folder to write to.

    Raises:
        UsageError: there is a file in its place, or it may not be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{out} cannot be made a folder ({error.strerror}); give another --out") from None


@contextmanager
def ctrl_c_waits() -> Iterator[Any]:
    """Give a function that tells whether Ctrl-C came; a second Ctrl-C raises KeyboardInterrupt at once.

    Outside the main thread, where no signal arrives, Ctrl-C stays as it was.
    """
    came = False

    def note(number: int, frame: Any) -> None:
        nonlocal came
        came = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        say("stopping after this step; Ctrl-C again stops at once")

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:
        yield lambda: False
        return
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGINT, before)


def _tokenizer(split: stream.Split, recipe: Recipe) -> Any:
    weights = recipe.language.weights
    if weights:
        return tokenizer.load(Path(weights.path), recipe.language)
    texts = (text for record in stream.rows(split, ("id", "messages")) for text in turn_texts(record))
    return tokenizer.train_bpe(chain([recipe.text.template], texts), recipe.language)


def _finite(what: str, value: float, ids: Sequence[str]) -> float:
    if not math.isfinite(value):
        raise WorkError(f"the {what} is {value} in the batch of {', '.join(ids)}; lower optim.lr, or drop the record")
    return value


def _arithmetic(split: stream.Split, recipe: Recipe, model: nn.Module, last_step: int) -> str:
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    trained, total = sum(size for size, trains in sizes if trains), sum(size for size, _ in sizes)
    sources = ", ".join(f"{source} {records}" for source, records in split.epoch().items())
    epochs = last_step * recipe.run.batch / len(split)
    return (
        f"{len(split)} training records an epoch ({sources}), {last_step} steps of {recipe.run.batch} "
        f"({epochs:.2f} epochs), training {trained:,} of {total:,} parameters"
    )
