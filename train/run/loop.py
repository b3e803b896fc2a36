"""The training loop, from a mix and a recipe to a checkpoint; a killed run resumes exactly where it stopped."""

import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import PreTrainedTokenizerBase

from medmix.curate.errors import UsageError, WorkError

from .. import estimate, estimate_image_text
from ..data import stream
from ..data import tokenizer as tokenizers
from ..data.batches import load_steps
from ..data.render import turn_texts
from ..model import kinds
from ..model.language import disable_input_upcast
from ..model.towers import all_weights_used
from ..model.vision_language import VisionLanguageModel
from ..model.weights import validate_weights
from ..rank_zero import is_rank_zero, say
from ..recipe import Recipe, as_dict
from . import checkpoint, plot
from .advice import advise, advise_memory
from .agreement import validate_agreement
from .failures import tell_failures
from .held_out import HeldOut, open_held_out
from .metrics_logger import LOG_NAME, MetricsLogger
from .optim import make_optimizer, set_learning_rates, total_steps
from .ranks import Ranks, full_optimizer_state, full_state_dict, process_group, wrap_parallel
from .scalar_loggers import open_loggers
from .signals import INTERRUPTED, defer_stop, exit_on_termination
from .start import find_start, start_model, start_optimizer
from .state import TrainerState, best_checkpoint
from .step import NotFiniteError, train_step
from .step_reporter import StepReporter


def train(
    mix: Path, recipe: Recipe, out: Path, progress_bar: bool, source: Path | None = None, command: Sequence[str] = ()
) -> dict[str, Any]:
    """Train on the mix's train split into the folder `out`, or resume from the last checkpoint there.

    On one machine, with one number of threads, mix and recipe alone decide the result, however often the run was
    interrupted: each step seeds its own random numbers, and a checkpoint stores the position in the stream. Ctrl-C
    finishes the step, writes a checkpoint and raises KeyboardInterrupt; a second one raises at once. SIGTERM and
    SIGUSR1 do so too and raise `SystemExit(143)`.

    Args:
        mix: folder of a built mix.
        recipe: what to train, and how.
        out: folder for `train_log.jsonl` and the checkpoints `step-NNNNNNNN`.
        progress_bar: show a bar; else print a line now and then.
        source: a checkpoint or a run, from whose weights a new run starts.
        command: the command that was typed, for messages.

    Returns:
        `steps`, `first_loss` and `last_loss` (nats per answer token), `seconds` of training over all
        sessions, and `out`.

    Raises:
        UsageError: the mix has no training records, the recipe does not fit it, weights are missing, `out` has a
            run of another recipe, mix or origin, or the model of `source` is another one.
        WorkError: a loss is not finite, the device's memory is full, a record is broken, or a checkpoint cannot be
            written. Nothing is written of such a step; after the first two the message names a command that goes on.
        SystemExit: one of several ranks failed; the error is printed with its rank.
    """
    with (
        exit_on_termination(),
        process_group(recipe.run.timeout_minutes) as ranks,
        tell_failures(ranks.store, ranks.rank),
    ):
        typed = command or ("medmix", "train", "--mixture", f"{mix}", "--recipe", recipe.name, "--out", f"{out}")
        try:
            return _train(mix, recipe, out, progress_bar, source, ranks)
        except NotFiniteError as error:
            raise WorkError(f"{error}; {advise(error, recipe, typed)}") from None
        except torch.OutOfMemoryError as error:
            reason = str(error).splitlines()[0]
            raise WorkError(f"{out}: {reason}; {advise_memory(recipe, typed)}") from None


def _train(
    mix: Path, recipe: Recipe, out: Path, progress_bar: bool, source: Path | None, ranks: Ranks
) -> dict[str, Any]:
    _validate_device(recipe, ranks)
    full_split = _open_split(mix)
    split = full_split.select(recipe.sources)
    last_step, epoch_counts, mix_digest = _last_step(recipe, split), split.epoch_counts(), stream.mix_digest(mix)
    held_out_split = open_held_out(mix, recipe)
    make_folder(out)

    start = find_start(out, recipe, mix_digest, epoch_counts, source)
    validate_agreement(ranks, recipe, mix_digest, start)
    tokenizer = (
        kinds.load_tokenizer(start.checkpoint / "tokenizer", recipe)
        if start.checkpoint
        else initial_tokenizer(full_split, recipe)
    )
    plan_run = estimate_image_text.plan_run if recipe.model else estimate.plan_run
    plan = plan_run(recipe, tokenizer, split, last_step, ranks.device, ranks.world_size)
    model = start_model(start, recipe, tokenizer)
    wrapped = prepare_model(model, recipe, ranks, stream.may_lack_images(split))
    optimizer = make_optimizer(wrapped, recipe.optim)
    origin_line = start_optimizer(start, model, wrapped, optimizer)
    step, seen = start.step, start.seen
    log = out / LOG_NAME if is_rank_zero() else None
    if step >= last_step:
        if log and not log.with_name(plot.FILE_NAME).exists():
            plot.plot_losses(log)
        say(f"{out}: all {last_step} steps are done; next: medmix eval {out}")
        return {**MetricsLogger(log, step, last_step).summary(), "out": str(out)}
    say(yaml.safe_dump(as_dict(recipe), sort_keys=False, default_flow_style=None, width=110).rstrip())
    for line in (*plan.lines, *([origin_line] if origin_line else []), *start.lines):
        say(line)
    say(f"{out}: starts at step {step}")

    loggers = open_loggers(recipe, out, step) if log else ()
    logger = MetricsLogger(log, step, last_step, progress_bar, loggers)
    held_out = HeldOut(held_out_split, recipe, plan.renderer, ranks) if held_out_split else None
    steps = load_steps(kinds.step_builder(split, recipe, plan.renderer, seen, ranks.rank, ranks.world_size))
    with logger, defer_stop() as stop_status:
        reporter = StepReporter(logger, ranks.device, plan.flops, plan.peak_flops)
        while step < last_step:
            requested = time.monotonic()
            work = next(steps)
            waited = time.monotonic() - requested
            torch.manual_seed(stream.derive_seed(recipe.seed, step, ranks.rank))
            rate = set_learning_rates(optimizer, recipe.optim, step, last_step)
            step, seen = step + 1, seen + work.positions
            if work.ids:
                pending = train_step(wrapped, optimizer, work, recipe, ranks, stop_status)
                reporter.add(pending, step=step, epoch=seen / len(split), learning_rate=rate, data_seconds=waited)
            held_out_loss = None
            if held_out and held_out.is_due(step, last_step) and not reporter.stop_status:
                reporter.flush()
                measured = held_out.measure(model)
                held_out_loss = measured["held_out_loss"]
                logger.log_held_out({"step": step, **measured})
                reporter.start_timer()
            if step % recipe.run.checkpoint_every == 0 or step == last_step or reporter.stop_status:
                reporter.flush()
                state = TrainerState(
                    step, seen, str(mix.resolve()), mix_digest, epoch_counts, checkpoint.versions(), start.history,
                    start.origin, held_out_loss,
                )  # fmt: skip
                _save_checkpoint(out, model, wrapped, optimizer, tokenizer, recipe, state, ranks)
                reporter.start_timer()
            if reporter.stop_status and step < last_step:
                if reporter.stop_status == INTERRUPTED:
                    raise KeyboardInterrupt
                say(f"{out}: stopped at step {step} of {last_step}; the same command resumes there")
                raise SystemExit(reporter.stop_status)
    if log and (best := best_checkpoint(out)):
        say(f"the lowest held-out loss of the checkpoints kept is that of {best}")
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


def _save_checkpoint(
    out: Path, model: VisionLanguageModel, wrapped: torch.nn.Module, optimizer: torch.optim.Optimizer,
    tokenizer: PreTrainedTokenizerBase, recipe: Recipe, state: TrainerState, ranks: Ranks,
) -> None:  # fmt: skip
    """Gather weights and optimiser state from all ranks, and write them on rank 0."""
    tensors, optimizer_state = full_state_dict(model, is_rank_zero()), full_optimizer_state(wrapped, optimizer)
    if is_rank_zero():
        checkpoint.save(out, model, tokenizer, recipe, state, tensors, optimizer_state)
    ranks.barrier()


def prepare_model(model: VisionLanguageModel, recipe: Recipe, ranks: Ranks, text_steps: bool = True) -> torch.nn.Module:
    """Configure a model for training by the recipe and wrap it for parallelism; training calls the result.

    `text_steps` tells whether a step may have no image at all, which leaves tower and projector without a gradient.
    """
    model.train()
    if recipe.run.precision == "bf16":
        disable_input_upcast(model)
    if recipe.run.gradient_checkpointing:
        model.checkpoint_activations()
    if recipe.run.compile:
        for layer in model.layers:
            layer.compile()
    sees_images = bool({"tower", "projector"} & {*recipe.train})
    unused = bool(recipe.model) or (sees_images and (text_steps or not all_weights_used(recipe.vision)))
    return wrap_parallel(model, recipe.run, ranks, unused)


def make_folder(out: Path) -> None:
    """Make the output folder.

    Raises:
        UsageError: it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{out}: the folder cannot be made ({error.strerror}); give another --out") from None


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
