"""One optimiser step: forward and backward over this rank's rounds, one reduction, one update."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medmix.curate.errors import WorkError

from ..data.batches import Step
from ..recipe import Recipe
from .ranks import Ranks, gradient_norm, reduce_later


class NotFiniteError(WorkError):
    """A loss or a gradient is not finite; every rank finds it at the same step."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step gave.

    Attributes:
        loss, losses: nats per answer token, over all and by source.
        gradient_norm: before clipping.
        stop: a rank was asked to stop; all ranks learn it of the same step.
    """

    loss: float
    losses: dict[str, float]
    gradient_norm: float
    stop: bool = False


class Launched:
    """A step that the device may still be at; nothing has waited for it yet."""

    def __init__(self, step: Step, losses: list[Tensor], norm: Tensor, stop: bool, ranks: Ranks) -> None:
        self.step, self.losses, self.ranks = step, losses, ranks
        asked = torch.tensor([stop], dtype=torch.float64).to(ranks.device, non_blocking=True)
        totals = ranks.total(torch.cat([_by_source(step, losses, ranks.device), asked]))
        self.numbers = torch.cat([totals, norm.detach().double().reshape(1)]).to("cpu", non_blocking=True)
        self.copied = torch.cuda.Event() if ranks.device.type == "cuda" else None
        if self.copied:
            self.copied.record()

    def read(self) -> Outcome:
        """Wait for the step and give what it gave.

        Raises:
            NotFiniteError: a loss or the gradient is not finite; names the records.
        """
        if self.copied:
            self.copied.synchronize()
        *by_source, stop, norm = self.numbers.tolist()
        self._refuse_not_finite(norm)
        sources = dict(zip(sorted(self.step.answers), by_source, strict=True))
        losses = {source: total / self.step.answers[source] for source, total in sources.items()}
        return Outcome(sum(by_source) / self.step.answer_tokens, losses, norm, stop > 0)

    def _refuse_not_finite(self, norm: float) -> None:
        if math.isfinite(norm):  # every rank sees the same norm, and a loss that is not finite makes it so
            return
        culprits = [
            identity
            for batch, sums in zip(self.step.batches, self.losses, strict=True)
            for identity, loss in zip(batch.ids, sums.tolist(), strict=True)
            if not math.isfinite(loss)
        ]
        everywhere = [identity for part in self.ranks.gather(culprits) for identity in part]
        if everywhere:
            raise NotFiniteError(
                f"the loss is not finite for {', '.join(everywhere)}; lower optim.lr, or drop these records"
            )
        raise NotFiniteError(
            f"the gradient's norm is {norm} in the batch of {', '.join(self.step.ids)}; lower optim.lr, or drop the "
            "record"
        )


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: Step,
    recipe: Recipe,
    ranks: Ranks,
    stop: Callable[[], bool] = lambda: False,
) -> Launched:
    """Do one optimiser step; on a GPU it is only handed over, and `Launched.read` waits for it.

    The loss is the sum over the whole step divided by its answer tokens, so that neither packing nor the
    number of ranks weighs records by the company that they are in. `stop` tells whether this rank was asked to stop.
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
    optimizer.step()
    return Launched(step, losses, norm, stop(), ranks)


def _by_source(step: Step, losses: list[Tensor], device: torch.device) -> Tensor:
    """Add up this rank's losses by source, in nats: [sources] float64, sources sorted by name."""
    places = {source: place for place, source in enumerate(sorted(step.answers))}
    totals = torch.zeros(len(places), dtype=torch.float64, device=device)
    for batch, sums in zip(step.batches, losses, strict=True):
        mine = torch.tensor([places[source] for source in batch.sources], dtype=torch.int64)
        totals.index_add_(0, mine.to(device, non_blocking=True), sums.double())
    return totals
