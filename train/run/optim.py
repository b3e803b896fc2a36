"""The optimiser and the learning rate schedule."""

import math

import torch
from torch import nn

from ..recipe import Optim, Run


def make_optimizer(model: nn.Module, optim: Optim) -> torch.optim.AdamW:
    """Make AdamW over the trainable parameters, in one group; fused if torch has a kernel for the device."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    fused = trainable[0].device.type in ("cpu", "cuda", "mps", "xpu")
    return torch.optim.AdamW(trainable, lr=optim.lr, betas=optim.betas, weight_decay=optim.weight_decay, fused=fused)


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
