"""The training loop, from a mix and a recipe to a checkpoint; a killed run resumes exactly where it stopped."""

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

from .. import estimate, estimate_image_text
from ..data import stream
from ..data import tokenizer as tokenizers
from ..data.batches import load_steps
from ..data.render import turn_texts
from ..model import kinds
from ..model.language import disable_input_upcast
from ..model.vision_language import VisionLanguageModel
from ..model.weights import validate_weights
from ..rank_zero import is_rank_zero, say
from ..recipe import Recipe, as_dict
from . import checkpoint, plot
from .metrics_logger import LOG_NAME, MetricsLogger
from .optim import learning_rate, make_optimizer, total_steps
from .ranks import Ranks, full_optimizer_state, full_state_dict, load_optimizer_state, process_group, wrap_parallel
from .resume import validate_resume
from .state import TrainerState, latest_checkpoint
from .step import NotFiniteError, train_step
from .step_reporter import StepReporter


def train(mix: Path, recipe: Recipe, out: Path, progress_bar: bool) -> dict[str, Any]:
    """Train on the mix's train split into the folder `out`, or resume from the last checkpoint there.

    On one machine, with one number of threads, mix and recipe alone decide the result, however often the run was
    interrupted: each step seeds its own random numbers, and a checkpoint stores the position in the stream. Ctrl-C
    finishes the step, writes a checkpoint and raises KeyboardInterrupt; a second one raises at once.

    Args:
        mix: folder of a built mix.
        recipe: what to train, and how.
        out: folder for `train_log.jsonl` and the checkpoints `step-NNNNNNNN`.
        progress_bar: show a bar; else print a line now and then.

    Returns:
        `steps`, `first_loss` and `last_loss` (nats per answer token), `seconds` of training over all
        sessions, and `out`.

    Raises:
        UsageError: the mix has no training records, the recipe does not fit it, weights are missing, or `out` has a
            run of another recipe or mix.
        WorkError: a loss is not finite, a record is broken, or a checkpoint cannot be written. Nothing is written of
            a step whose loss is not finite.
    """
    try:
        with process_group() as ranks:
            return _train(mix, recipe, out, progress_bar, ranks)
    except (UsageError, NotFiniteError) as error:  # all ranks raise; rank 0 reports
        if not is_rank_zero():
            raise SystemExit(error.exit_code) from None
        raise


def _train(mix: Path, recipe: Recipe, out: Path, progress_bar: bool, ranks: Ranks) -> dict[str, Any]:
    _validate_device(recipe, ranks)
    full_split = _open_split(mix)
    split = full_split.select(recipe.sources)
    last_step, epoch_counts, mix_digest = _last_step(recipe, split), split.epoch_counts(), stream.mix_digest(mix)
    make_folder(out)

    saved = latest_checkpoint(out)
    if saved:
        validate_resume(saved, recipe, mix_digest, epoch_counts)
        tokenizer = kinds.load_tokenizer(saved / "tokenizer", recipe)
    else:
        tokenizer = initial_tokenizer(full_split, recipe)
    plan_run = estimate_image_text.plan_run if recipe.model else estimate.plan_run
    plan = plan_run(recipe, tokenizer, split, last_step, ranks.device, ranks.world_size)
    model, step, seen = _load_model(saved, recipe, tokenizer)
    wrapped = prepare_model(model, recipe, ranks)
    optimizer = make_optimizer(wrapped, recipe.optim)
    if saved:
        load_optimizer_state(wrapped, optimizer, saved / "optimizer.pt")
    log = out / LOG_NAME if is_rank_zero() else None
    logger = MetricsLogger(log, step, last_step, progress_bar, recipe.run.tensorboard)
    if step == last_step:
        if log and not log.with_name(plot.FILE_NAME).exists():
            plot.plot_losses(log)
        say(f"{out}: all {last_step} steps are done; next: medmix eval {out}")
        return {**logger.summary(), "out": str(out)}
    say(yaml.safe_dump(as_dict(recipe), sort_keys=False, default_flow_style=None, width=110).rstrip())
    for line in plan.lines:
        say(line)
    say(f"{out}: starts at step {step}")

    steps = load_steps(kinds.step_builder(split, recipe, plan.renderer, seen, ranks.rank, ranks.world_size))
    with logger, defer_interrupt() as interrupted:
        reporter = StepReporter(logger, ranks.device, plan.flops, plan.peak_flops)
        while step < last_step:
            requested = time.monotonic()
            work = next(steps)
            waited = time.monotonic() - requested
            torch.manual_seed(stream.derive_seed(recipe.seed, step, ranks.rank))
            optimizer.param_groups[0]["lr"] = rate = learning_rate(recipe.optim, step, last_step)
            pending = train_step(wrapped, optimizer, work, recipe, ranks, interrupted)
            step, seen = step + 1, seen + len(work.ids)
            reporter.add(pending, step=step, epoch=seen / len(split), learning_rate=rate, data_seconds=waited)
            if step % recipe.run.checkpoint_every == 0 or step == last_step or reporter.stop_requested:
                reporter.flush()
                state = TrainerState(step, seen, str(mix.resolve()), mix_digest, epoch_counts, checkpoint.versions())
                _save_checkpoint(out, model, wrapped, optimizer, tokenizer, recipe, state, ranks)
                reporter.start_timer()
            if reporter.stop_requested and step < last_step:
                raise KeyboardInterrupt
    if log:
        say(f"the loss is plotted in {plot.plot_losses(log)}")
    return {**logger.summary(), "out": str(out)}


def _validate_device(recipe: Recipe, ranks: Ranks) -> None:
    if recipe.run.require_gpu and ranks.device.type == "cpu":
        raise UsageError(
            f"{recipe.name} needs a GPU, and PyTorch finds none here; train another recipe (--recipe smoke-cpu), "
            "or insist with --set run.require_gpu=false"
        )


def _open_split(mix: Path) -> stream.Split:
    split = stream.open_split(mix, "train")
    if not len(split):
        raise UsageError(f"{mix} has no training records; see its ledger.parquet, and build another: medmix build")
    return split


def _last_step(recipe: Recipe, split: stream.Split) -> int:
    last_step = total_steps(recipe.run, len(split))
    if recipe.optim.warmup_steps >= last_step:
        raise UsageError(f"optim.warmup_steps: {recipe.optim.warmup_steps} is not below the {last_step} steps to train")
    return last_step


def _load_model(
    saved: Path | None, recipe: Recipe, tokenizer: PreTrainedTokenizerBase
) -> tuple[VisionLanguageModel, int, int]:
    """Give the model of a checkpoint, its step and the records seen, or a new model at step 0."""
    if saved:
        loaded = checkpoint.load(saved)
        return loaded.model, loaded.state.step, loaded.state.records
    torch.manual_seed(stream.derive_seed(recipe.seed, "start"))
    return kinds.build_new(recipe, tokenizer), 0, 0


def _save_checkpoint(
    out: Path, model: VisionLanguageModel, wrapped: torch.nn.Module, optimizer: torch.optim.Optimizer,
    tokenizer: PreTrainedTokenizerBase, recipe: Recipe, state: TrainerState, ranks: Ranks,
) -> None:  # fmt: skip
    """Gather weights and optimiser state from all ranks, and write them on rank 0."""
    tensors, optimizer_state = full_state_dict(model, is_rank_zero()), full_optimizer_state(wrapped, optimizer)
    if is_rank_zero():
        checkpoint.save(out, model, tokenizer, recipe, state, tensors, optimizer_state)
    ranks.barrier()


def prepare_model(model: VisionLanguageModel, recipe: Recipe, ranks: Ranks) -> torch.nn.Module:
    """Configure a model for training by the recipe and wrap it for parallelism; training calls the result."""
    model.train()
    if recipe.run.precision == "bf16":
        disable_input_upcast(model)
    if recipe.run.gradient_checkpointing:
        model.checkpoint_activations()
    if recipe.run.compile:
        for layer in model.layers:
            layer.compile()
    return wrap_parallel(model, recipe.run, ranks)


def make_folder(out: Path) -> None:
    """Make the output folder.

    Raises:
        UsageError: it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{out}: the folder cannot be made ({error.strerror}); give another --out") from None


@contextmanager
def defer_interrupt() -> Iterator[Any]:
    """Give a function that tells whether Ctrl-C was pressed; a second Ctrl-C raises KeyboardInterrupt at once.

    Outside the main thread, which gets no signals, Ctrl-C works as usual.
    """
    pressed = False

    def handle(number: int, frame: Any) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        say("stopping after this step or the next; press Ctrl-C again to stop at once")

    try:
        before = signal.signal(signal.SIGINT, handle)
    except ValueError:
        yield lambda: False
        return
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


def initial_tokenizer(split: stream.Split, recipe: Recipe) -> PreTrainedTokenizerBase:
    """Give a new run's tokenizer: that of the pretrained language model, or one trained on the mix's text.

    For a transformers model it is the model's processor.

    Raises:
        UsageError: pretrained weights are missing or broken, or the vocabulary is too small.
    """
    if processor := kinds.pretrained_processor(recipe):
        return processor
    weights = recipe.language.weights
    validate_weights({"vision.weights.path": recipe.vision.weights, "language.weights.path": weights})
    if weights:
        return tokenizers.load(Path(weights.path), recipe.language)
    texts = (text for record in stream.rows(split, ("id", "messages")) for text in turn_texts(record))
    return tokenizers.train_bpe(chain([recipe.text.template], texts), recipe.language)
