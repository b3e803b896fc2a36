"""Held-out loss: the loss on records of the mix's validation split, measured while the model trains."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch.distributed.fsdp import FSDPModule

from medmix.curate.errors import UsageError

from ..data import stream
from ..data.render import Renderer
from ..model import kinds
from ..model.vision_language import VisionLanguageModel
from ..recipe import Recipe
from .ranks import Ranks

SPLIT = "validation"


def open_held_out(mix: Path, recipe: Recipe) -> stream.Split | None:
    """Open the validation split of the sources that the recipe trains on; None if the recipe does not evaluate.

    Raises:
        UsageError: it has no record.
    """
    if recipe.run.evaluate_every is None:
        return None
    split = stream.open_split(mix, SPLIT)
    sources = [name for name, records in split.record_counts().items() if records]
    chosen = [name for name in sources if recipe.sources is None or name in recipe.sources]
    if not chosen:
        which = f" of {', '.join(recipe.sources)}" if recipe.sources else ""
        raise UsageError(
            f"run.evaluate_every: {mix} has no {SPLIT} records{which}; leave it out, or build a mix with "
            "splits.holdout above 0"
        )
    return split.select(chosen)


class HeldOut:
    """Measures the loss on the same records each time: `run.evaluate_records` of each source, evenly spaced.

    They are packed or padded as in training; all ranks share them. Random numbers and gradients are left alone.
    """

    def __init__(self, split: stream.Split, recipe: Recipe, renderer: Renderer, ranks: Ranks) -> None:
        self.recipe, self.ranks = recipe, ranks
        self.builder = kinds.step_builder(split, recipe, renderer, 0, ranks.rank, ranks.world_size)
        self.positions = choose_positions(split, recipe.run.evaluate_records)

    def is_due(self, step: int, last_step: int) -> bool:
        """Tell whether to measure after a step; with `run.keep: best` also before each checkpoint."""
        run = self.recipe.run
        before_checkpoint = run.keep == "best" and step % run.checkpoint_every == 0
        on_schedule = run.evaluate_every is not None and step % run.evaluate_every == 0
        return on_schedule or before_checkpoint or step == last_step

    @torch.no_grad()
    def measure(self, model: VisionLanguageModel) -> dict[str, Any]:
        """Measure the loss; gives the values of a log entry, in nats per answer token.

        Raises:
            WorkError: a record is broken.
        """
        began = time.monotonic()
        device, precision = self.ranks.device, self.recipe.run.precision
        sums: Counter[str] = Counter()
        answers: Counter[str] = Counter()
        records = 0
        model.eval()
        for step in self.builder.steps_at(self.positions):
            answers.update(step.answers)
            records += len(step.ids)
            for batch in step.batches:
                with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                    losses = model(batch.to(device))
                for source, loss in zip(batch.sources, losses.tolist(), strict=True):
                    sums[source] += loss
        model.train()
        for module in model.modules():
            if isinstance(module, FSDPModule):
                module.reshard()
        sources = sorted(answers)
        totals = self.ranks.all_reduce(torch.tensor([sums[name] for name in sources], dtype=torch.float64).to(device))
        by_source = {name: total / answers[name] for name, total in zip(sources, totals.tolist(), strict=True)}
        return {
            "held_out_loss": sum(totals.tolist()) / max(1, sum(answers.values())),
            "held_out_loss_by_source": by_source,
            "held_out_records": records,
            "held_out_seconds": time.monotonic() - began,
        }


def choose_positions(split: stream.Split, records: int) -> list[stream.RowPosition]:
    """Give the positions of at most `records` records of each source, evenly spaced over its shards."""
    by_source: dict[str, list[stream.RowPosition]] = {}
    for number, shard in enumerate(split.shards):
        for row_group, rows in enumerate(shard.row_groups):
            found = by_source.setdefault(shard.source, [])
            found += [stream.RowPosition(number, row_group, row) for row in range(rows)]
    chosen = []
    for found in by_source.values():
        count = min(records, len(found))
        chosen += [found[place * len(found) // count] for place in range(count)]
    return sorted(chosen)
