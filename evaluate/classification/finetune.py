"""Fine-tuning of a detached encoder and its head; killed and begun again it goes on exactly."""

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
from .image_cache import Pictures
from .recipe import TransferRecipe
from .transforms import Batch, augmented, gather, normalised

SECONDS_BETWEEN_SAVES = 300.0
"""How much work a kill may cost; an epoch that is under way is begun again."""

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Task:
    """What is learnt: images, their targets, and how many classes there are.

    Attributes:
        pictures: of the whole set.
        targets: of the whole set: int64 [N], the class, or float32 [N, K] of 0 and 1 with several labels.
        train: places to train on, ascending.
        classes: K.
    """

    pictures: Pictures
    targets: Tensor
    train: Places
    classes: int


def fine_tune(
    encoder: Encoder, task: Task, recipe: TransferRecipe, seed: int, device: torch.device, unfinished: Path
) -> Classifier:
    """Train an encoder and a linear head, and give the model of the last epoch, in evaluation mode.

    On one machine, with one number of threads, encoder, task, recipe and seed decide the result: each epoch seeds its
    own random numbers. `unfinished` is a file that holds the state at the end of an epoch, for who was killed; who
    keeps the result takes it away.

    Raises:
        WorkError: the loss is not finite.
    """
    torch.manual_seed(derive_seed(seed, "head"))
    model = Classifier(encoder.build(seed), encoder.width, task.classes).to(device)
    optimizer = make_optimizer(model, recipe)
    per_epoch = math.ceil(len(task.train) / recipe.batch)
    schedule = train_recipe.Optim(lr=1.0, warmup_steps=recipe.optim.warmup_epochs * per_epoch)
    mean, std = (torch.tensor(values, device=device) for values in (encoder.mean, encoder.std))
    epoch = _resume(unfinished, model, optimizer, device)
    saved = time.monotonic()
    while epoch < recipe.epochs:
        random = torch.Generator().manual_seed(derive_seed(seed, "epoch", epoch) % 2**63)
        torch.manual_seed(derive_seed(seed, "layers", epoch))
        model.train()
        order = task.train[torch.randperm(len(task.train), generator=random).numpy()]
        for number, (places, batch) in enumerate(read_ahead(task.pictures, order, recipe.batch)):
            factor = learning_rate(schedule, epoch * per_epoch + number, recipe.epochs * per_epoch)
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * factor
            images = augmented(normalised(batch, mean, std), recipe.augment, random)
            train_step(model, optimizer, images, task.targets[torch.from_numpy(places)].to(device), recipe)
        epoch += 1
        if epoch < recipe.epochs and time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
            _save(unfinished, model, optimizer, epoch)
            saved = time.monotonic()
    return model.eval()


def train_step(
    model: Classifier, optimizer: torch.optim.Optimizer, images: Tensor, targets: Tensor, recipe: TransferRecipe
) -> None:
    """Do one step of the optimiser on normalised images, [B, 3, S, S].

    Raises:
        WorkError: the gradient is not finite; the weights are as before.
    """
    optimizer.zero_grad()
    with torch.autocast(images.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
        logits = model(images)
    loss = loss_of(logits, targets)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.optim.clip)
    if not torch.isfinite(norm):
        raise WorkError(f"the gradient's norm is {norm.item()}; lower optim.lr, or set precision to fp32")
    optimizer.step()


def loss_of(logits: Tensor, targets: Tensor) -> Tensor:
    """Give the cross-entropy in nats: over classes, or the mean over each class's own with several labels."""
    if targets.ndim == 1:
        return F.cross_entropy(logits, targets)
    return F.binary_cross_entropy_with_logits(logits, targets)


@torch.inference_mode()
def predict(
    model: Classifier, encoder: Encoder, pictures: Pictures, places: Places, recipe: TransferRecipe, multi: bool
) -> npt.NDArray[np.float32]:
    """Give the probability of each class for some images, [n, K], in the order of `places`."""
    device = model.head.weight.device
    mean, std = (torch.tensor(values, device=device) for values in (encoder.mean, encoder.std))
    found = []
    for _, batch in read_ahead(pictures, places, recipe.batch):
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            logits = model(normalised(batch, mean, std))
        found.append((logits.sigmoid() if multi else logits.softmax(1)).float().cpu())
    probabilities: npt.NDArray[np.float32] = torch.cat(found).numpy()
    return probabilities


def read_ahead(pictures: Pictures, order: Places, batch: int) -> Iterator[tuple[Places, Batch]]:
    """Give the places and pixels of batch after batch; a thread reads the next one meanwhile."""
    parts: Sequence[Places] = [order[start : start + batch] for start in range(0, len(order), batch)]
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(gather, pictures, parts[0])
        for number, part in enumerate(parts):
            here = coming.result()
            if number + 1 < len(parts):
                coming = pool.submit(gather, pictures, parts[number + 1])
            yield part, here


def make_optimizer(model: Classifier, recipe: TransferRecipe) -> torch.optim.AdamW:
    """Make AdamW: encoder and head at their own rates, kept as `base` of their groups; only matrices decay."""
    groups: list[dict[str, Any]] = []
    for part, rate in ((model.backbone, recipe.optim.lr), (model.head, recipe.optim.head_lr)):
        for decays in (True, False):
            mine = [p for name, p in part.named_parameters() if _decays(name, p) == decays]
            groups.append({"params": mine, "base": rate, "weight_decay": recipe.optim.weight_decay * decays})
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=recipe.optim.lr)


def _decays(name: str, parameter: Tensor) -> bool:
    """Matrices decay; biases, norms and embeddings of place and class do not."""
    last = name.rsplit(".", 1)[-1]
    return parameter.ndim > 1 and "embed" not in last and "token" not in last and "position_embedding" not in name


def _save(path: Path, model: Classifier, optimizer: torch.optim.Optimizer, epoch: int) -> None:
    with replacing(path) as temporary:
        torch.save({"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, temporary)


def _resume(path: Path, model: Classifier, optimizer: torch.optim.Optimizer, device: torch.device) -> int:
    """Go on from an unfinished run where there is one; give the epoch that comes next."""
    if not path.is_file():
        return 0
    try:
        state = torch.load(path, device, weights_only=True)
    except Exception:  # a broken pickle can raise nearly anything
        say(f"{path}: cannot be read, so begun again")
        return 0
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["epoch"])
