"""Several processes that train one model: torchrun starts them, torch's DDP or fully_shard joins them.

Gradients are averaged over the ranks by both, so a rank's loss is multiplied by their number and divided by the
answer tokens of the whole step: the step is the same however many ranks share it.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from ..model.vision_language import VisionLanguageModel
from ..recipe import Run

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among `size` of them; without torchrun there is one."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the rank that talks and writes."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """Add up a tensor over all ranks, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def gather(self, item: Any) -> list[Any]:
        """Give the items of all ranks to all ranks."""
        items: list[Any] = [item]
        if self.size > 1:
            items = [None] * self.size
            dist.all_gather_object(items, item)
        return items

    def wait(self) -> None:
        """Wait until all ranks are here."""
        if self.size > 1:
            dist.barrier()


def pick_device(rank_here: int = 0) -> torch.device:
    """Give the GPU of that number on this machine where there is one, else the CPU."""
    return torch.device("cuda", rank_here) if torch.cuda.is_available() else torch.device("cpu")


@contextmanager
def join() -> Iterator[Ranks]:
    """Join the ranks that torchrun started, for as long as the block lasts."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    device = pick_device(int(os.environ.get("LOCAL_RANK", "0")))
    if size == 1:
        yield Ranks(0, 1, device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()


def spread(model: VisionLanguageModel, run: Run, ranks: Ranks) -> nn.Module:
    """Put the model on this rank's device and join it with those of the other ranks; call what comes back.

    With bf16 the decoder's layers send their weights in bf16, in which autocast multiplies them anyway, and reduce
    gradients in fp32. The tower and the rest are small and stay in fp32.
    """
    if ranks.size == 1:
        return model.to(ranks.device)
    if run.parallel == "fsdp":
        mesh = init_device_mesh(ranks.device.type, (ranks.size,))
        policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
        for layer in model.tower.layers:
            fully_shard(layer, mesh=mesh)
        for layer in model.decoder_layers:
            fully_shard(layer, mesh=mesh, mp_policy=policy if run.precision == "bf16" else MixedPrecisionPolicy())
        return cast(nn.Module, fully_shard(model, mesh=mesh))
    # a step of text alone leaves the tower without a gradient
    return DistributedDataParallel(model.to(ranks.device), find_unused_parameters=True)


def reduce_later(model: nn.Module, later: bool) -> AbstractContextManager[Any]:
    """Keep gradients on this rank until the step's last round, when they are reduced at once."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(not later)
    return model.no_sync() if later and isinstance(model, DistributedDataParallel) else nullcontext()


def whole_tensors(model: VisionLanguageModel, keep: bool) -> dict[str, Tensor]:
    """Gather the weights from all ranks onto the CPU, by name; a rank that does not `keep` them gets {}.

    Frozen weights that a pretrained language model's own files give back are left out.
    """
    found = {}
    for name, tensor in model.state_dict().items():
        if name in model.given_back:
            continue
        whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        if keep:
            found[name] = whole.detach().cpu()
    return found


def optimizer_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Gather the optimiser's state from all ranks, by the names of parameters; whole on the first rank."""
    return dict(get_optimizer_state_dict(model, optimizer, options=WHOLE))


def load_optimizer_state(model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Give each rank its part of a state of `optimizer_state`."""
    set_optimizer_state_dict(model, optimizer, cast(Any, state), options=StateDictOptions(full_state_dict=True))


def gradient_norm(parameters: list[nn.Parameter], bound: float) -> Tensor:
    """Clip the norm of the whole gradient, over all ranks, and give what it was: []."""
    norm = nn.utils.clip_grad_norm_(parameters, bound)
    return norm.full_tensor() if isinstance(norm, DTensor) else norm
