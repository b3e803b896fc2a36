"""One optimiser step: forward and backward passes over this rank's batches, one gradient reduction, one update."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medmix.curate.errors import WorkError

from ..data.batches import Step
from ..recipe import Recipe
from .optim import trainable_parameters
from .ranks import Ranks, clip_grad_norm, defer_grad_sync
from .signals import INTERRUPTED, TERMINATED

STOP_STATUSES = (TERMINATED, INTERRUPTED)
"""Where ranks were asked for different stops, the first applies."""


class NotFiniteError(WorkError):
    """A loss or a gradient is not finite; all ranks raise it at the same step.

    `records` are the ids of the records that are to blame; none if it can be any of the step, or all of them are.
    """

    def __init__(self, message: str, records: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.records = tuple(records)


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """The metrics of a step.

    Attributes:
        loss, loss_by_source: nats per answer token, over all records and by source.
        grad_norm: before clipping.
        stop_status: exit status of a stop that a rank was asked for, 0 if none; all ranks see it at the same step.
    """

    loss: float
    loss_by_source: dict[str, float]
    grad_norm: float
    stop_status: int = 0


class PendingStep:
    """A step that the device may still be computing."""

    def __init__(self, step: Step, losses: list[Tensor], norm: Tensor, stop: int, ranks: Ranks) -> None:
        self.step, self.losses, self.ranks = step, losses, ranks
        requested = [stop == status for status in STOP_STATUSES]
        stop_requests = torch.tensor(requested, dtype=torch.float64).to(ranks.device, non_blocking=True)
        totals = ranks.all_reduce(torch.cat([_loss_sums(step, losses, ranks.device), stop_requests]))
        self.numbers = torch.cat([totals, norm.detach().double().reshape(1)]).to("cpu", non_blocking=True)
        self.copied = torch.cuda.Event() if ranks.device.type == "cuda" else None
        if self.copied:
            self.copied.record()

    def wait(self) -> StepMetrics:
        """Wait for the device and give the step's metrics.

        Raises:
            NotFiniteError: a loss or the gradient is not finite; names the records.
        """
        if self.copied:
            self.copied.synchronize()
        *numbers, norm = self.numbers.tolist()
        self._validate_finite(norm)
        loss_sums, stop_requests = numbers[: len(self.step.answers)], numbers[len(self.step.answers) :]
        stop_status = next((status for status, count in zip(STOP_STATUSES, stop_requests, strict=True) if count), 0)
        sources = dict(zip(sorted(self.step.answers), loss_sums, strict=True))
        losses = {source: total / self.step.answers[source] for source, total in sources.items()}
        return StepMetrics(sum(loss_sums) / self.step.answer_tokens, losses, norm, stop_status)

    def _validate_finite(self, norm: float) -> None:
        if math.isfinite(norm):  # all ranks have the same norm, and a loss that is not finite makes it so
            return
        local = [
            identity
            for batch, sums in zip(self.step.batches, self.losses, strict=True)
            for identity, loss in zip(batch.ids, sums.tolist(), strict=True)
            if not math.isfinite(loss)
        ]
        culprits = [identity for part in self.ranks.all_gather(local) for identity in part]
        cause = f"loss is not finite for {', '.join(culprits)}"
        if not culprits:
            cause = f"gradient's norm is {norm} in the batch of {', '.join(self.step.ids)}"
        raise NotFiniteError(f"the {cause}", culprits if len(culprits) < len(self.step.ids) else ())


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: Step,
    recipe: Recipe,
    ranks: Ranks,
    stop: Callable[[], int],
) -> PendingStep:
    """Do one optimiser step; on a GPU it is only queued, and `PendingStep.wait` waits for it.

    The loss is the sum over the whole step divided by its answer tokens, so that a record's weight depends neither on
    packing nor on the number of ranks. `stop` gives the exit status of a stop that this rank was
    asked for, 0 if none.
    """
    optimizer.zero_grad()
    losses: list[Tensor] = []
    for number, batch in enumerate(step.batches, start=1):
        with (
            defer_grad_sync(model, number < len(step.batches)),
            torch.autocast(ranks.device.type, torch.bfloat16, enabled=recipe.run.precision == "bf16"),
        ):
            sums = model(batch.to(ranks.device))
            (sums.sum() * (ranks.world_size / step.answer_tokens)).backward()
        losses.append(sums.detach())
    norm = clip_grad_norm(trainable_parameters(optimizer), recipe.optim.max_grad_norm)
    optimizer.step()
    return PendingStep(step, losses, norm, stop(), ranks)


def _loss_sums(step: Step, losses: list[Tensor], device: torch.device) -> Tensor:
    """Add up this rank's losses by source, in nats: [sources] float64, sources sorted by name."""
    indices = {source: index for index, source in enumerate(sorted(step.answers))}
    totals = torch.zeros(len(indices), dtype=torch.float64, device=device)
    for batch, sums in zip(step.batches, losses, strict=True):
        owners = torch.tensor([indices[source] for source in batch.sources], dtype=torch.int64)
        totals.index_add_(0, owners.to(device, non_blocking=True), sums.double())
    return totals
