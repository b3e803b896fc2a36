"""The transfer recipe: how an encoder is fine-tuned or probed. Loads `recipes/eval/transfer.yaml` and others."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from medmix.curate.config import find_yaml, override, parse, read_yaml
from medmix.curate.errors import UsageError

from .datasets import RECIPE_NAMES


@dataclass(frozen=True, slots=True)
class Optim:
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), linear warm-up, half a cosine down to 0.

    `lr` is the encoder's rate, `head_lr` that of the head; `max_grad_norm` clips the whole gradient.
    """

    RENAMED: ClassVar[dict[str, str]] = {"clip": "max_grad_norm"}

    lr: float
    head_lr: float
    weight_decay: float
    warmup_epochs: int
    max_grad_norm: float


@dataclass(frozen=True, slots=True)
class Augment:
    """Random augmentation of training images.

    Attributes:
        crop: smallest fraction of the area that a crop keeps, 0..1; 1 crops nothing.
        rotate: largest angle in degrees, either way.
        hflip: probability of a horizontal flip.
        color_jitter: largest relative change of brightness and contrast, either way.
    """

    RENAMED: ClassVar[dict[str, str]] = {"flip": "hflip", "tone": "color_jitter"}

    crop: float = 1.0
    rotate: float = 0.0
    hflip: float = 0.0
    color_jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class Scratch:
    """The randomly initialised tower: a timm model, and the normalisation of its pixels."""

    timm: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Probe:
    """Logistic regression on frozen features; `c` are the inverse regularisation strengths to choose from."""

    c: tuple[float, ...]
    max_iter: int


@dataclass(frozen=True, slots=True)
class TransferRecipe:
    """A recipe as in its YAML file.

    Attributes:
        size: side of the square that images are fitted into, in pixels; None takes each encoder's own.
        epochs: over the training images; the last one is evaluated.
        batch_size: images per step.
        precision: of the forward pass.
        seeds: of head, order, augmentation and shots; one run for each.
        split_seed: of the splits that upstream does not have; the same for all seeds.
        thresholds: `validation`, for each class the one with the best F1 there; `half`, 0.5 for all.
        n_bootstrap: draws behind each interval.
        max_pixels: images whose header claims more are rejected.
        shots: units of each class to train on, and as many to validate on; None takes all.
    """

    RENAMED: ClassVar[dict[str, str]] = {"batch": "batch_size", "resamples": "n_bootstrap"}

    name: str
    size: int | None
    epochs: int
    batch_size: int
    optim: Optim
    scratch: Scratch
    probe: Probe
    augment: Augment = Augment()
    precision: Literal["fp32", "bf16"] = "fp32"
    seeds: tuple[int, ...] = (0,)
    split_seed: int = 0
    thresholds: Literal["validation", "half"] = "validation"
    n_bootstrap: int = 2000
    max_pixels: int = 200_000_000
    shots: int | None = None


def load(name_or_path: str | Path, overrides: tuple[str, ...] = ()) -> TransferRecipe:
    """Load a recipe by name, or from a YAML file; each override is `key.sub=value`, with a YAML value.

    Raises:
        UsageError: the name is unknown, or the recipe has problems; lists all problems.
    """
    path = find_yaml("recipes/eval", "recipe", name_or_path, RECIPE_NAMES)
    data = read_yaml(path)
    for change in overrides:
        override(data, change)
    recipe = parse(TransferRecipe, data, path.name)
    found = _problems(recipe)
    if found:
        raise UsageError("; ".join(f"{path.name}: {problem}" for problem in found))
    return recipe


def _problems(recipe: TransferRecipe) -> list[str]:
    optim, augment = recipe.optim, recipe.augment
    rules = [
        (recipe.size is not None and recipe.size < 8, "size: must be 8 or more"),
        (recipe.epochs < 1, "epochs: must be 1 or more"),
        (recipe.batch_size < 1, "batch_size: must be 1 or more"),
        (not recipe.seeds or len(set(recipe.seeds)) < len(recipe.seeds), "seeds: must be one or more, each once"),
        (optim.lr <= 0 or optim.head_lr <= 0, "optim: rates must be above 0"),
        (optim.weight_decay < 0, "optim.weight_decay: must be 0 or more"),
        (not 0 <= optim.warmup_epochs < recipe.epochs, "optim.warmup_epochs: must be 0 or more and below epochs"),
        (optim.max_grad_norm <= 0, "optim.max_grad_norm: must be above 0"),
        (not 0 < augment.crop <= 1, "augment.crop: must be above 0 and at most 1"),
        (not 0 <= augment.hflip <= 1, "augment.hflip: must be 0..1"),
        (not 0 <= augment.color_jitter < 1, "augment.color_jitter: must be 0 or more and below 1"),
        (not recipe.probe.c or min(recipe.probe.c) <= 0, "probe.c: must be one or more, above 0"),
        (recipe.probe.max_iter < 1, "probe.max_iter: must be 1 or more"),
        (recipe.n_bootstrap < 1, "n_bootstrap: must be 1 or more"),
        (recipe.shots is not None and recipe.shots < 1, "shots: must be 1 or more"),
    ]
    return [problem for broken, problem in rules if broken]
