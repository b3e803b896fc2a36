"""The training loop, from a mix and a recipe to a checkpoint; killed and started again it goes on exactly."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import PreTrainedTokenizerBase

from medmix.curate.errors import UsageError

from .. import arithmetic, device
from ..data import stream, tokenizer
from ..data.batches import Steps, load_steps, refuse_too_long
from ..data.render import Renderer, turn_texts
from ..model.language import stay_in_bf16
from ..model.vision_language import VisionLanguageModel
from ..model.weights import load_tower, require_weights
from ..rank_zero import is_first, say
from ..recipe import Recipe, as_dict
from . import checkpoint, plot
from .journal import Journal
from .optim import learning_rate, make_optimizer, total_steps
from .ranks import Ranks, join, load_optimizer_state, optimizer_state, spread, whole_tensors
from .report import Report
from .resume import refuse_other
from .state import State
from .step import NotFiniteError, train_step


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
        WorkError: a loss is not finite, a record is broken, or a checkpoint cannot be written. Nothing is written of
            a step whose loss is not finite.
    """
    try:
        with join() as ranks:
            return _train(mix, recipe, out, progress, ranks)
    except (UsageError, NotFiniteError) as error:  # every rank finds it, one tells it
        if not is_first():
            raise SystemExit(error.exit_code) from None
        raise


def _train(mix: Path, recipe: Recipe, out: Path, progress: bool, ranks: Ranks) -> dict[str, Any]:
    if recipe.run.gpu and ranks.device.type == "cpu":
        raise UsageError(
            f"{recipe.name} needs a GPU, and PyTorch finds none here; train another recipe (--recipe smoke-cpu), "
            "or insist with --set run.gpu=false"
        )
    whole = stream.open_split(mix, "train")
    if not len(whole):
        raise UsageError(f"{mix} has no training records; see its ledger.parquet, and build another: medmix build")
    split = whole.only(recipe.sources)
    last_step = total_steps(recipe.run, len(split))
    if recipe.optim.warmup_steps >= last_step:
        raise UsageError(f"optim.warmup_steps: {recipe.optim.warmup_steps} is not below the {last_step} steps to train")
    mix_digest = stream.digest(mix)
    make_folder(out)

    found = checkpoint.steps(out)
    if found:
        refuse_other(found[-1], recipe, mix_digest, split.epoch())
        words = checkpoint.load_tokenizer(found[-1], recipe)
    else:
        require_weights(
            {"vision.weights.path": recipe.vision.weights, "language.weights.path": recipe.language.weights}
        )
        words = first_tokenizer(whole, recipe)
    shaped = arithmetic.shape(recipe, words)
    renderer = Renderer(words, recipe.text, shaped.image_tokens, recipe.vision.max_images)
    refuse_too_long(recipe, renderer, shaped.base.config.max_position_embeddings)
    means = arithmetic.survey(split, renderer)
    arithmetic.refuse_too_big(shaped, recipe, means, ranks.device, ranks.size, renderer)
    costs = arithmetic.costs(shaped, recipe)

    if found:
        loaded = checkpoint.load(found[-1])
        model, step, seen = loaded.model, loaded.state.step, loaded.state.records
    else:
        model, step, seen = _start(recipe, words), 0, 0
    joined = prepare(model, recipe, ranks)
    optimizer = make_optimizer(joined, recipe.optim)
    if found:
        load_optimizer_state(joined, optimizer, checkpoint.load_optimizer(found[-1]))
    path = out / "train_log.jsonl" if ranks.first else None
    journal = Journal(path, step, last_step, progress, recipe.run.tensorboard)
    if step == last_step:
        if path and not path.with_name(plot.NAME).exists():
            plot.draw_losses(path)
        say(f"{out}: all {last_step} steps are done; next: medmix eval {out}")
        return {**journal.summary(), "out": str(out)}
    say(yaml.safe_dump(as_dict(recipe), sort_keys=False, default_flow_style=None, width=110).rstrip())
    for line in arithmetic.lines(shaped, recipe, split, means, last_step, ranks.device, ranks.size):
        say(line)
    say(f"{out}: from step {step}")
    peak = device.peak(ranks.device, arithmetic.products(recipe))[0] * ranks.size

    steps = load_steps(Steps(split, recipe, renderer, seen, ranks.rank, ranks.size))
    with journal, ctrl_c_waits() as interrupted:
        report = Report(journal, ranks.device, costs, peak)
        while step < last_step:
            asked = time.monotonic()
            work = next(steps)
            waited = time.monotonic() - asked
            torch.manual_seed(stream.derive_seed(recipe.seed, step, ranks.rank))
            optimizer.param_groups[0]["lr"] = rate = learning_rate(recipe.optim, step, last_step)
            launched = train_step(joined, optimizer, work, recipe, ranks, interrupted)
            step, seen = step + 1, seen + len(work.ids)
            report.add(launched, step=step, epoch=seen / len(split), learning_rate=rate, data_seconds=waited)
            if step % recipe.run.checkpoint_every == 0 or step == last_step or report.stop:
                report.finish()
                tensors = whole_tensors(model, ranks.first)
                state = optimizer_state(joined, optimizer)
                if ranks.first:
                    place = State(step, seen, str(mix.resolve()), mix_digest, split.epoch(), checkpoint.versions())
                    checkpoint.save(out, model, words, recipe, place, tensors, state)
                ranks.wait()
                report.start()
            if report.stop and step < last_step:
                raise KeyboardInterrupt
    if path:
        say(f"the loss is drawn in {plot.draw_losses(path)}")
    return {**journal.summary(), "out": str(out)}


def _start(recipe: Recipe, words: PreTrainedTokenizerBase) -> VisionLanguageModel:
    torch.manual_seed(stream.derive_seed(recipe.seed, "start"))
    model = VisionLanguageModel(recipe, words)
    if recipe.vision.weights:
        load_tower(model.tower.timm, recipe.vision.weights)
    return model


def prepare(model: VisionLanguageModel, recipe: Recipe, ranks: Ranks) -> torch.nn.Module:
    """Make a model ready to train as the recipe says, joined with the other ranks'; call what comes back."""
    model.train()
    if recipe.run.precision == "bf16":
        stay_in_bf16(model)
    if recipe.run.gradient_checkpointing:
        model.checkpoint_activations()
    if recipe.run.compile:
        for layer in model.layers:
            layer.compile()
    return spread(model, recipe.run, ranks)


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
        say("stopping after this step, or the next; Ctrl-C again stops at once")

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:
        yield lambda: False
        return
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGINT, before)


def first_tokenizer(split: stream.Split, recipe: Recipe) -> PreTrainedTokenizerBase:
    """Give the tokenizer that a run begins with: that of the pretrained language model, or one of the mix's own text.

    Raises:
        UsageError: the pretrained one is missing or broken, or the vocabulary does not fit the text.
    """
    weights = recipe.language.weights
    if weights:
        return tokenizer.load(Path(weights.path), recipe.language)
    texts = (text for record in stream.rows(split, ("id", "messages")) for text in turn_texts(record))
    return tokenizer.train_bpe(chain([recipe.text.template], texts), recipe.language)
