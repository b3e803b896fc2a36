"""One run: an encoder on a set with a seed, kept as a file; a finished one is not run again."""

import hashlib
import json
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from medmix.curate.errors import UsageError, WorkError
from medmix.curate.progress import say
from medmix.curate.shards import replacing
from medmix.train.run import checkpoint as checkpoints

from . import features, finetune
from .encoders import Encoder
from .prepare import Prepared
from .recipe import TransferRecipe, as_dict
from .thresholds import HALF, best_f1, decide

VERSION = "1"
"""Of how a run is made; another one makes all runs again."""

Mode: TypeAlias = Literal["finetune", "linear-probe"]
MODES: tuple[Mode, ...] = ("finetune", "linear-probe")

NOT_OF_A_RUN = ("name", "seeds", "resamples", "split_seed", "max_pixels")
"""Parts of the recipe that do not change what one run gives; the split is in the set's own digest."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run gave.

    Attributes:
        seed: of the run.
        test: probability of each class for each test image, float32 [n, K].
        thresholds: of each class, [K]; None where the likeliest class is chosen.
        trained_on: images of training and of validation that were used.
        c: the penalty that a linear probe chose, else None.
    """

    seed: int
    test: npt.NDArray[np.float32]
    thresholds: npt.NDArray[np.float64] | None
    trained_on: tuple[int, int]
    c: float | None

    @property
    def predicted(self) -> npt.NDArray[np.bool_]:
        """Which classes are predicted, [n, K]."""
        return decide(self.test, self.thresholds)


def run(
    ready: Prepared, encoder: Encoder, recipe: TransferRecipe, mode: Mode, seed: int, folder: Path, device: torch.device
) -> Run:
    """Give a run: from its file in `folder` where that holds the same one, else made now and kept there."""
    shots = f"-{recipe.shots}-shots" if recipe.shots else ""
    path = folder / f"{ready.facts.id}-{mode}{shots}-seed-{seed}.npz"
    identity = _identity(ready, encoder, recipe, mode, seed)
    found = _read(path, identity, seed)
    if found is None:
        say(f"{ready.facts.id}: {mode} of {encoder.name}, seed {seed}")
        unfinished = path.with_suffix(f".{identity[:12]}.pt")
        for other in folder.glob(f"{path.stem}.*.pt"):  # of a run with other images, encoder or recipe
            if other != unfinished:
                other.unlink()
        try:
            found = _made(ready, encoder, recipe, mode, seed, device, unfinished)
        except torch.OutOfMemoryError:
            raise WorkError(
                f"{encoder.name} at {encoder.size} pixels does not fit into the memory of {device} with batches of "
                f"{recipe.batch}; set a smaller batch, for all encoders that are compared"
            ) from None
        _write(path, identity, found)
        unfinished.unlink(missing_ok=True)
    return found


def _made(
    ready: Prepared,
    encoder: Encoder,
    recipe: TransferRecipe,
    mode: Mode,
    seed: int,
    device: torch.device,
    unfinished: Path,
) -> Run:
    train, validation = (ready.few(split, recipe.shots, seed) for split in ("train", "validation"))
    test, classes, multi = ready.places("test"), len(ready.facts.classes), ready.facts.labels == "multi"
    c = None
    if mode == "finetune":
        task = finetune.Task(ready.pictures, ready.targets, train, classes)
        model = finetune.fine_tune(encoder, task, recipe, seed, device, unfinished)
        on_validation, on_test = (
            finetune.predict(model, encoder, ready.pictures, places, recipe, multi) for places in (validation, test)
        )
    else:
        probe = _probe()
        vectors = features.load(encoder, ready.pictures, seed, recipe.precision, ready.cache, device)
        whole, c = probe(vectors, ready.targets.numpy(), train, validation, classes, recipe.probe)
        on_validation, on_test = (whole[places].astype(np.float32) for places in (validation, test))
    thresholds = None
    if multi:
        by_validation = recipe.thresholds == "validation"
        thresholds = best_f1(on_validation, ready.truth[validation]) if by_validation else np.full(classes, HALF)
    return Run(seed, on_test, thresholds, (len(train), len(validation)), c)


def versions(mode: Mode) -> dict[str, str]:
    """Give the versions of medmix and of the libraries that numbers may depend on; with others a run is made again."""
    libraries = ("numpy", "pillow", *(("scikit-learn",) if mode == "linear-probe" else ()))
    return checkpoints.versions() | {name: version(name) for name in libraries}


def _probe() -> Any:
    try:
        from .probe import probe
    except ImportError:
        raise UsageError("a linear probe needs scikit-learn; install it: pip install 'medmix[eval]'") from None
    return probe


def _identity(ready: Prepared, encoder: Encoder, recipe: TransferRecipe, mode: Mode, seed: int) -> str:
    settings = {key: value for key, value in as_dict(recipe).items() if key not in NOT_OF_A_RUN}
    for other in ("probe",) if mode == "finetune" else ("optim", "augment", "epochs", "batch"):
        settings.pop(other)
    if encoder.digest is not None:
        settings.pop("scratch")
    seen = [
        VERSION,
        versions(mode),
        ready.digest,
        encoder.digest,
        encoder.size,
        encoder.mean,
        encoder.std,
        encoder.pooling,
    ]
    return hashlib.sha256(json.dumps([seen, settings, mode, seed], sort_keys=True).encode()).hexdigest()


def _write(path: Path, identity: str, made: Run) -> None:
    about = {"identity": identity, "trained_on": made.trained_on, "c": made.c}
    thresholds = np.zeros(0) if made.thresholds is None else made.thresholds
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, about=np.array(json.dumps(about)), test=made.test, thresholds=thresholds)


def _read(path: Path, identity: str, seed: int) -> Run | None:
    """Read a run that was made before; None where there is none, or another one."""
    try:
        with path.open("rb") as whole, np.load(whole, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            if about["identity"] != identity:
                say(f"{path}: made with other images, encoder or recipe, so made again")
                return None
            thresholds = file["thresholds"]
            first, second = about["trained_on"]
            return Run(seed, file["test"], thresholds if len(thresholds) else None, (first, second), about["c"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        say(f"{path}: cannot be read, so made again")
        return None
