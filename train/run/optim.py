"""The optimiser and the learning rate schedule."""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ..recipe import Optim, Run


def make_optimizer(model: nn.Module, optim: Optim) -> torch.optim.AdamW:
    """Make AdamW over the trainable parameters; fused if torch has a kernel for the device.

    A group has the parameters of one learning rate, of which norms and biases (vectors) have no weight decay. Each
    group's `initial_lr` is its rate after the warm-up.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = optim.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((_base_rate(name, optim), decay), []).append(parameter)
    parts: list[dict[str, Any]] = [
        {"params": parameters, "lr": rate, "initial_lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]
    fused = parts[0]["params"][0].device.type in ("cpu", "cuda", "mps", "xpu")
    return torch.optim.AdamW(parts, lr=optim.lr, betas=optim.betas, fused=fused)


def trainable_parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """Give the parameters of all groups."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def set_learning_rates(optimizer: torch.optim.Optimizer, optim: Optim, step: int, last_step: int) -> float:
    """Set every group's learning rate for a step, and give that of `optim.lr`."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(replace(optim, lr=group["initial_lr"]), step, last_step)
    return learning_rate(optim, step, last_step)


def regroup(saved: dict[str, Any], current: dict[str, Any], any_decay: bool = False) -> dict[str, Any]:
    """Give a saved optimiser state with the groups of the current one, by parameter names.

    A state of one group was saved before norms and biases had a group of their own.

    Raises:
        ValueError: its parameters differ, or their weight decay unless `any_decay`.
    """
    decays = [_decays(state["param_groups"]) for state in (saved, current)]
    if decays[0].keys() != decays[1].keys():
        raise ValueError("it has other parameters")
    if decays[0] != decays[1] and not any_decay:
        raise ValueError("it decayed the weights of norms and biases, which are no longer decayed")
    return {**saved, "param_groups": current["param_groups"]}


def _decays(groups: list[dict[str, Any]]) -> dict[str, float]:
    return {name: group["weight_decay"] for group in groups for name in group["params"]}


def _base_rate(name: str, optim: Optim) -> float:
    """Give the learning rate of a parameter by its name, which DDP prefixes."""
    part = name.removeprefix("module.").partition(".")[0]
    rate = {"tower": optim.lr_tower, "projector": optim.lr_projector}.get(part)
    return optim.lr if rate is None else rate


def total_steps(run: Run, records: int) -> int:
    """Give the number of optimiser steps; the last one of an epoch run may have fewer records."""
    return run.steps if run.steps is not None else math.ceil((run.epochs or 0) * records / run.global_batch_size)


def learning_rate(optim: Optim, step: int, last_step: int) -> float:
    """Give the learning rate of a step, counted from 0: linear warm-up, then constant or half a cosine down to 0.

    The cosine is that of Loshchilov and Hutter 2017 (arXiv 1608.03983) without restarts.
    """
    if step < optim.warmup_steps:
        return optim.lr * (step + 1) / optim.warmup_steps
    if optim.lr_scheduler == "constant":
        return optim.lr
    done = (step - optim.warmup_steps) / (last_step - optim.warmup_steps)
    return optim.lr * 0.5 * (1 + math.cos(math.pi * done))
