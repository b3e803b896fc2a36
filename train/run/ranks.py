"""Multi-process training: torchrun starts the processes, torch's DDP or fully_shard synchronises them.

Both average gradients over the ranks, so a rank's loss is multiplied by their number and divided by the answer tokens
of the whole step: the result does not depend on the number of ranks.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict, set_optimizer_state_dict
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.rendezvous import rendezvous
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from medmix.curate.errors import UsageError

from ..model.vision_language import VisionLanguageModel
from ..rank_zero import local_world_size
from ..recipe import Run
from .failures import FailureWatch, leave
from .optim import regroup

FULL_STATE_DICT = StateDictOptions(full_state_dict=True, cpu_offload=True)


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among `world_size` of them; without torchrun there is one, and no `store` that they share."""

    rank: int
    world_size: int
    device: torch.device
    store: dist.Store | None = None

    def all_reduce(self, values: Tensor) -> Tensor:
        """Sum a tensor over all ranks, in place."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def all_gather(self, item: Any) -> list[Any]:
        """Give the items of all ranks to all ranks."""
        items: list[Any] = [item] * self.world_size
        if self.world_size > 1:
            dist.all_gather_object(items, item)
        return items

    def barrier(self) -> None:
        """Wait for all ranks."""
        if self.world_size > 1:
            dist.barrier()


def pick_device(local_rank: int = 0) -> torch.device:
    """Give the GPU of that index if there is a GPU, else the CPU."""
    return torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")


@contextmanager
def process_group(timeout_minutes: int = 10) -> Iterator[Ranks]:
    """Connect the processes that torchrun started, for the duration of the block.

    A rank waits at most `timeout_minutes` for the others; it does not wait for one that has failed.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    device = pick_device(int(os.environ.get("LOCAL_RANK", "0")))
    if world_size == 1:
        yield Ranks(0, 1, device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    timeout = timedelta(minutes=timeout_minutes)
    store, rank, world_size = next(rendezvous("env://", timeout=timeout))
    store.set_timeout(timeout)
    backend, prefixed = "nccl" if device.type == "cuda" else "gloo", dist.PrefixStore("medmix", store)
    dist.init_process_group(backend, store=prefixed, rank=rank, world_size=world_size, timeout=timeout)
    with FailureWatch(store, rank):
        try:
            yield Ranks(rank, world_size, device, store)
        except BaseException:
            dist.destroy_process_group()
            leave(store, rank, world_size)
            raise
        dist.destroy_process_group()


def wrap_parallel(model: VisionLanguageModel, run: Run, ranks: Ranks, find_unused_parameters: bool) -> nn.Module:
    """Move the model to this rank's device and wrap it for `run.parallel`; training calls the result.

    With fsdp and bf16, decoder layers gather their weights in bf16, in which autocast multiplies them anyway, and
    reduce gradients in fp32. The tower and the rest are small and stay in fp32.

    Raises:
        UsageError: nodes of unequal size cannot have a copy of the model each.
    """
    if ranks.world_size == 1:
        return model.to(ranks.device)
    if run.parallel != "ddp":
        mesh = _device_mesh(run, ranks)
        policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
        for layer in model.tower.layers:
            fully_shard(layer, mesh=mesh)
        for layer in model.decoder_layers:
            fully_shard(layer, mesh=mesh, mp_policy=policy if run.precision == "bf16" else MixedPrecisionPolicy())
        return cast(nn.Module, fully_shard(model, mesh=mesh))
    return DistributedDataParallel(
        model.to(ranks.device), find_unused_parameters=find_unused_parameters, broadcast_buffers=False
    )


def _device_mesh(run: Run, ranks: Ranks) -> DeviceMesh:
    """Give the ranks in a row for `fsdp`, in a row per node for `hsdp`."""
    if run.parallel == "fsdp":
        return init_device_mesh(ranks.device.type, (ranks.world_size,))
    per_node = local_world_size(ranks.world_size)
    if ranks.world_size % per_node:
        unequal = f"{ranks.world_size} are no multiple of {per_node}"
        raise UsageError(f"run.parallel: hsdp needs as many ranks on one node as on another; {unequal}")
    shape = (ranks.world_size // per_node, per_node)
    return init_device_mesh(ranks.device.type, shape, mesh_dim_names=("node", "rank"))


def defer_grad_sync(model: nn.Module, defer: bool) -> AbstractContextManager[Any]:
    """Accumulate gradients on this rank alone if `defer`; a backward pass without it reduces them over all ranks."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(not defer)
    return model.no_sync() if defer and isinstance(model, DistributedDataParallel) else nullcontext()


def full_state_dict(model: VisionLanguageModel, keep: bool) -> dict[str, Tensor]:
    """Gather the weights from all ranks on the CPU, by name; a rank that does not `keep` them gets {}.

    Frozen weights that can be loaded from the pretrained language model's files are left out.
    """
    found, left_out = {}, model.reloadable_weights
    for name, tensor in model.state_dict().items():
        if name in left_out:
            continue
        full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        if keep:
            found[name] = full.detach().cpu()
    return found


def full_optimizer_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Gather the optimiser's state from all ranks, by parameter names; complete on rank 0."""
    return dict(get_optimizer_state_dict(model, optimizer, options=FULL_STATE_DICT))


def load_optimizer_state(
    model: nn.Module, optimizer: torch.optim.Optimizer, file: Path, any_decay: bool = False
) -> None:
    """Load a saved state of `full_optimizer_state`; each rank takes its part. The settings stay the optimiser's own.

    With `any_decay` the saved state may be of another weight decay.

    Raises:
        UsageError: it is of other parameters, or of another weight decay.
    """
    state: Any = torch.load(file, "cpu", weights_only=True)
    try:
        state = regroup(state, dict(get_optimizer_state_dict(model, optimizer)), any_decay)
    except ValueError as error:
        raise UsageError(f"{file} does not fit this run: {error}; give another --out") from None
    set_optimizer_state_dict(model, optimizer, state, options=StateDictOptions(full_state_dict=True))


def clip_grad_norm(parameters: list[nn.Parameter], max_norm: float) -> Tensor:
    """Clip the norm of the gradient over all ranks, and give the norm before: []."""
    norm = nn.utils.clip_grad_norm_(parameters, max_norm)
    return norm.full_tensor() if isinstance(norm, DTensor) else norm
