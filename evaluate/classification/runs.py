"""One run: an encoder on a dataset with a seed. Its result is a file; a finished run is not repeated."""

import hashlib
import json
import zipfile
from dataclasses import asdict, dataclass
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
from .prepare import PreparedDataset
from .recipe import TransferRecipe
from .scores import HALF, best_thresholds, predicted_classes

VERSION = "1"
"""Of the procedure; another version repeats all runs."""

Mode: TypeAlias = Literal["finetune", "linear-probe"]
MODES: tuple[Mode, ...] = ("finetune", "linear-probe")

SCORING_KEYS = ("name", "seeds", "n_bootstrap", "split_seed", "max_pixels")
"""Parts of the recipe that do not change a run; the split is in the dataset's digest."""


@dataclass(frozen=True, slots=True)
class Run:
    """The result of a run.

    Attributes:
        seed: of the run.
        test: probability of each class for each test image, float32 [n, K].
        thresholds: of each class, [K]; None if the most likely class is chosen.
        n_train: number of training images used.
        n_validation: number of validation images used.
        c: the inverse regularisation strength of a linear probe, else None.
    """

    seed: int
    test: npt.NDArray[np.float32]
    thresholds: npt.NDArray[np.float64] | None
    n_train: int
    n_validation: int
    c: float | None

    @property
    def predicted(self) -> npt.NDArray[np.bool_]:
        """The predicted classes, [n, K]."""
        return predicted_classes(self.test, self.thresholds)


@dataclass(frozen=True, slots=True)
class RunSpec:
    """All that decides a run."""

    dataset: PreparedDataset
    encoder: Encoder
    recipe: TransferRecipe
    mode: Mode
    seed: int


def load_or_run(spec: RunSpec, folder: Path, device: torch.device) -> Run:
    """Load a run from its file in `folder`, or execute it and write the file."""
    name, encoder, recipe = spec.dataset.info.id, spec.encoder, spec.recipe
    shots = f"-{recipe.shots}-shots" if recipe.shots else ""
    path = folder / f"{name}-{spec.mode}{shots}-seed-{spec.seed}.npz"
    identity = _identity(spec)
    found = _load(path, identity, spec.seed)
    if found is None:
        say(f"{name}: {spec.mode} of {encoder.name}, seed {spec.seed}")
        unfinished = path.with_suffix(f".{identity[:12]}.pt")
        for other in folder.glob(f"{path.stem}.*.pt"):  # of a run with other images, encoder or recipe
            if other != unfinished:
                other.unlink()
        try:
            found = _execute(spec, device, unfinished)
        except torch.OutOfMemoryError:
            raise WorkError(
                f"{encoder.name} at {encoder.size} pixels does not fit into the memory of {device} with batches of "
                f"{recipe.batch_size}; set a smaller batch_size, for all encoders to compare"
            ) from None
        _save(path, identity, found)
        unfinished.unlink(missing_ok=True)
    return found


def _execute(spec: RunSpec, device: torch.device, unfinished: Path) -> Run:
    dataset, encoder, recipe, seed = spec.dataset, spec.encoder, spec.recipe, spec.seed
    train, validation = (dataset.few_shot(split, recipe.shots, seed) for split in ("train", "validation"))
    test, classes, multi = dataset.indices("test"), len(dataset.info.classes), dataset.info.labels == "multi"
    c = None
    if spec.mode == "finetune":
        task = finetune.TrainingTask(dataset.images, dataset.targets, train, classes)
        model = finetune.fine_tune(encoder, task, recipe, seed, device, unfinished)
        on_validation, on_test = (
            finetune.predict(model, encoder, dataset.images, indices, recipe, multi) for indices in (validation, test)
        )
    else:
        probe = _probe()
        vectors = features.load(encoder, dataset.images, seed, recipe.precision, dataset.cache, device)
        whole, c = probe(vectors, dataset.targets.numpy(), train, validation, classes, recipe.probe)
        on_validation, on_test = (whole[indices].astype(np.float32) for indices in (validation, test))
    thresholds = None
    if multi and recipe.thresholds == "validation":
        thresholds = best_thresholds(on_validation, dataset.truth[validation])
    elif multi:
        thresholds = np.full(classes, HALF)
    return Run(seed, on_test, thresholds, len(train), len(validation), c)


def versions(mode: Mode) -> dict[str, str]:
    """Return the versions of medmix and of libraries that decide the numbers; other versions repeat a run."""
    libraries = ("numpy", "pillow", *(("scikit-learn",) if mode == "linear-probe" else ()))
    return checkpoints.versions() | {name: version(name) for name in libraries}


def _probe() -> Any:
    try:
        from .probe import probe
    except ImportError:
        raise UsageError("a linear probe needs scikit-learn; install it: pip install 'medmix[eval]'") from None
    return probe


def _identity(spec: RunSpec) -> str:
    encoder = spec.encoder
    settings = {key: value for key, value in asdict(spec.recipe).items() if key not in SCORING_KEYS}
    for other in ("probe",) if spec.mode == "finetune" else ("optim", "augment", "epochs", "batch_size"):
        settings.pop(other)
    if encoder.digest is not None:
        settings.pop("scratch")
    pixels = [encoder.size, encoder.mean, encoder.std]
    inputs = [VERSION, versions(spec.mode), spec.dataset.digest, encoder.digest, *pixels, encoder.pooling]
    return hashlib.sha256(json.dumps([inputs, settings, spec.mode, spec.seed], sort_keys=True).encode()).hexdigest()


def _save(path: Path, identity: str, made: Run) -> None:
    about = {"identity": identity, "n_train": made.n_train, "n_validation": made.n_validation, "c": made.c}
    thresholds = np.zeros(0) if made.thresholds is None else made.thresholds
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, about=np.array(json.dumps(about)), test=made.test, thresholds=thresholds)


def _load(path: Path, identity: str, seed: int) -> Run | None:
    """Load a finished run; None if there is none, or another one."""
    try:
        with path.open("rb") as whole, np.load(whole, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            if about["identity"] != identity:
                say(f"{path}: of other images, encoder or recipe; running again")
                return None
            thresholds = file["thresholds"]
            return Run(
                seed,
                file["test"],
                thresholds if len(thresholds) else None,
                about["n_train"],
                about["n_validation"],
                about["c"],
            )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        say(f"{path}: cannot be read; running again")
        return None
