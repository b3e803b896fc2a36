"""One optimiser step: forward and backward over this rank's rounds, one reduction, one update."""

import math
from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medmix.curate.errors import WorkError

from .batches import Step
from .ranks import Ranks, gradient_norm, reduce_later
from .recipe import Recipe


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step gave: nats per answer token, over all and by source, and the gradient's norm before clipping."""

    loss: float
    losses: dict[str, float]
    gradient_norm: float


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, step: Step, recipe: Recipe, ranks: Ranks) -> Outcome:
    """Do one optimiser step.

    The loss is the sum over the whole step divided by its answer tokens, so that neither packing nor the
    number of ranks weighs records by the company that they are in.

    Raises:
        WorkError: a loss or the gradient is not finite; names the records, and the weights are as before.
    """
    optimizer.zero_grad()
    losses: list[Tensor] = []
    for number, batch in enumerate(step.batches, start=1):
        with (
            reduce_later(model, number < len(step.batches)),
            torch.autocast(ranks.device.type, torch.bfloat16, enabled=recipe.run.precision == "bf16"),
        ):
            sums = model(batch.to(ranks.device))
            (sums.sum() * (ranks.size / step.answer_tokens)).backward()
        losses.append(sums.detach())
    norm = gradient_norm(optimizer.param_groups[0]["params"], recipe.optim.clip)
    found = [pack.tolist() for pack in losses]  # the one moment that waits for the device
    _refuse_not_finite(step, found, norm.item(), ranks)
    optimizer.step()
    by_source = _by_source(step, found, ranks)
    total = sum(by_source.values()) / step.answer_tokens
    return Outcome(total, {source: by_source[source] / step.answers[source] for source in by_source}, norm.item())


def _by_source(step: Step, losses: list[list[float]], ranks: Ranks) -> dict[str, float]:
    """Add up the losses of each source over all ranks, in nats."""
    mine: dict[str, float] = defaultdict(float)
    for batch, sums in zip(step.batches, losses, strict=True):
        for source, loss in zip(batch.sources, sums, strict=True):
            mine[source] += loss
    sources = sorted(step.answers)
    totals = ranks.total(torch.tensor([mine[source] for source in sources], device=ranks.device, dtype=torch.float64))
    return dict(zip(sources, totals.tolist(), strict=True))


def _refuse_not_finite(step: Step, losses: list[list[float]], norm: float, ranks: Ranks) -> None:
    if math.isfinite(norm):  # every rank sees the same norm, and a loss that is not finite makes it so
        return
    culprits = [
        identity
        for batch, sums in zip(step.batches, losses, strict=True)
        for identity, loss in zip(batch.ids, sums, strict=True)
        if not math.isfinite(loss)
    ]
    everywhere = [identity for part in ranks.gather(culprits) for identity in part]
    if everywhere:
        raise WorkError(f"the loss is not finite for {', '.join(everywhere)}; lower optim.lr, or drop these records")
    raise WorkError(
        f"the gradient's norm is {norm} in the batch of {', '.join(step.ids)}; lower optim.lr, or drop the record"
    )
