"""Fine-tune a detached encoder and its head; a killed run resumes exactly."""

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from medmix.curate.errors import WorkError
from medmix.curate.progress import say
from medmix.curate.shards import replacing
from medmix.train import recipe as train_recipe
from medmix.train.data.stream import derive_seed
from medmix.train.run.optim import learning_rate

from .backbone import Classifier
from .encoders import Encoder
from .image_cache import ImageCache
from .recipe import TransferRecipe
from .transforms import Batch, augment_images, normalize, read_batch

SECONDS_BETWEEN_SAVES = 300.0
"""The most work that a kill loses, besides the unfinished epoch."""

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """Training data: images, their targets, and the number of classes.

    Attributes:
        images: of the whole dataset.
        targets: of the whole dataset: int64 [N], the class, or float32 [N, K] of 0 and 1 with several labels.
        train: indices of the training images, ascending.
        classes: K.
    """

    images: ImageCache
    targets: Tensor
    train: Indices
    classes: int


def fine_tune(
    encoder: Encoder, task: TrainingTask, recipe: TransferRecipe, seed: int, device: torch.device, unfinished: Path
) -> Classifier:
    """Train an encoder and a linear head, and return the model of the last epoch, in evaluation mode.

    On one machine, with one number of threads, encoder, task, recipe and seed decide the result: each epoch seeds its
    own random numbers. The file `unfinished` has the state at the end of an epoch, for a resumed run; the caller
    deletes it.

    Raises:
        WorkError: the loss is not finite.
    """
    torch.manual_seed(derive_seed(seed, "head"))
    model = Classifier(encoder.build(seed), encoder.width, task.classes).to(device)
    optimizer = make_optimizer(model, recipe)
    per_epoch = math.ceil(len(task.train) / recipe.batch_size)
    schedule = train_recipe.Optim(lr=1.0, warmup_steps=recipe.optim.warmup_epochs * per_epoch)
    mean, std = (torch.tensor(values, device=device) for values in (encoder.mean, encoder.std))
    epoch = _load_state(unfinished, model, optimizer, device)
    saved = time.monotonic()
    while epoch < recipe.epochs:
        random = torch.Generator().manual_seed(derive_seed(seed, "epoch", epoch) % 2**63)
        torch.manual_seed(derive_seed(seed, "layers", epoch))
        model.train()
        order = task.train[torch.randperm(len(task.train), generator=random).numpy()]
        for number, (indices, batch) in enumerate(prefetch_batches(task.images, order, recipe.batch_size)):
            factor = learning_rate(schedule, epoch * per_epoch + number, recipe.epochs * per_epoch)
            for group in optimizer.param_groups:
                group["lr"] = group["base_lr"] * factor
            images = augment_images(normalize(batch, mean, std), recipe.augment, random)
            train_step(model, optimizer, images, task.targets[torch.from_numpy(indices)].to(device), recipe)
        epoch += 1
        if epoch < recipe.epochs and time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
            _save_state(unfinished, model, optimizer, epoch)
            saved = time.monotonic()
    return model.eval()


def train_step(
    model: Classifier, optimizer: torch.optim.Optimizer, images: Tensor, targets: Tensor, recipe: TransferRecipe
) -> None:
    """Take one optimiser step on normalised images, [B, 3, S, S].

    Raises:
        WorkError: the gradient is not finite; the weights are as before.
    """
    optimizer.zero_grad()
    with torch.autocast(images.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
        logits = model(images)
    loss = classification_loss(logits, targets)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.optim.max_grad_norm)
    if not torch.isfinite(norm):
        raise WorkError(f"the gradient's norm is {norm.item()}; lower optim.lr, or set precision to fp32")
    optimizer.step()


def classification_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy in nats: over classes, or the mean of the binary ones with several labels."""
    if targets.ndim == 1:
        return F.cross_entropy(logits, targets)
    return F.binary_cross_entropy_with_logits(logits, targets)


@torch.inference_mode()
def predict(
    model: Classifier, encoder: Encoder, images: ImageCache, indices: Indices, recipe: TransferRecipe, multi: bool
) -> npt.NDArray[np.float32]:
    """Return the probability of each class for these images, [n, K], in the order of `indices`."""
    device = model.head.weight.device
    mean, std = (torch.tensor(values, device=device) for values in (encoder.mean, encoder.std))
    found = []
    for _, batch in prefetch_batches(images, indices, recipe.batch_size):
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            logits = model(normalize(batch, mean, std))
        found.append((logits.sigmoid() if multi else logits.softmax(1)).float().cpu())
    probabilities: npt.NDArray[np.float32] = torch.cat(found).numpy()
    return probabilities


def prefetch_batches(images: ImageCache, order: Indices, batch_size: int) -> Iterator[tuple[Indices, Batch]]:
    """Yield the indices and pixels of each batch; a thread reads the next one in advance."""
    parts: Sequence[Indices] = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(read_batch, images, parts[0])
        for number, part in enumerate(parts):
            current = upcoming.result()
            if number + 1 < len(parts):
                upcoming = pool.submit(read_batch, images, parts[number + 1])
            yield part, current


def make_optimizer(model: Classifier, recipe: TransferRecipe) -> torch.optim.AdamW:
    """Make AdamW: encoder and head with their own `base_lr`, weight decay only for matrices."""
    groups: list[dict[str, Any]] = []
    for part, rate in ((model.backbone, recipe.optim.lr), (model.head, recipe.optim.head_lr)):
        for decays in (True, False):
            mine = [p for name, p in part.named_parameters() if _has_weight_decay(name, p) == decays]
            groups.append({"params": mine, "base_lr": rate, "weight_decay": recipe.optim.weight_decay * decays})
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=recipe.optim.lr)


def _has_weight_decay(name: str, parameter: Tensor) -> bool:
    """Return whether weight decay applies: to matrices, not to biases, norms, position and class embeddings."""
    last = name.rsplit(".", 1)[-1]
    return parameter.ndim > 1 and "embed" not in last and "token" not in last and "position_embedding" not in name


def _save_state(path: Path, model: Classifier, optimizer: torch.optim.Optimizer, epoch: int) -> None:
    with replacing(path) as temporary:
        torch.save({"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, temporary)


def _load_state(path: Path, model: Classifier, optimizer: torch.optim.Optimizer, device: torch.device) -> int:
    """Load the state of an unfinished run, if there is one, and return the next epoch."""
    if not path.is_file():
        return 0
    try:
        state = torch.load(path, device, weights_only=True)
    except Exception:  # a broken pickle can raise nearly anything
        say(f"{path}: cannot be read; starting again")
        return 0
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["epoch"])
