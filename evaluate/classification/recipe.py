"""The transfer recipe: how an encoder is fine-tuned or probed. Loads `recipes/eval/transfer.yaml` and its like."""

from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from medmix.curate.config import nearest, override, parse, read_yaml
from medmix.curate.errors import UsageError

from .datasets import NOT_SETS


@dataclass(frozen=True, slots=True)
class Optim:
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), linear warm-up, half a cosine down to 0.

    `lr` is the encoder's rate, `head_lr` that of the head; `clip` bounds the norm of the whole gradient.
    """

    lr: float
    head_lr: float
    weight_decay: float
    warmup_epochs: int
    clip: float


@dataclass(frozen=True, slots=True)
class Augment:
    """What is done to training images at random.

    Attributes:
        crop: least share of the area that is shown, 0..1; 1 shows all.
        rotate: degrees either way.
        flip: share of the images mirrored left to right.
        tone: how much brightness and contrast change either way, as a share.
    """

    crop: float = 1.0
    rotate: float = 0.0
    flip: float = 0.0
    tone: float = 0.0


@dataclass(frozen=True, slots=True)
class Scratch:
    """The tower that starts at random: a timm model, and how its pixels are normalised."""

    timm: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Probe:
    """Logistic regression on frozen features; `c` are inverse strengths of the penalty to choose from."""

    c: tuple[float, ...]
    max_iter: int


@dataclass(frozen=True, slots=True)
class TransferRecipe:
    """A recipe as its YAML says it.

    Attributes:
        size: side of the square that images are fitted into, in pixels; None takes each encoder's own.
        epochs: over the training images; the last one counts.
        batch: images a step.
        precision: of the forward pass.
        seeds: of head, order, augmentation and shots; one run for each.
        split_seed: of the cuts that upstream does not make; the same for all seeds.
        thresholds: `validation`, for each class that of the best F1 there; `half`, 0.5 for all.
        resamples: draws behind each interval.
        max_pixels: an image whose header claims more is refused.
        shots: units of each class to train on, and as many to validate on; None takes all.
    """

    name: str
    size: int | None
    epochs: int
    batch: int
    optim: Optim
    scratch: Scratch
    probe: Probe
    augment: Augment = Augment()
    precision: Literal["fp32", "bf16"] = "fp32"
    seeds: tuple[int, ...] = (0,)
    split_seed: int = 0
    thresholds: Literal["validation", "half"] = "validation"
    resamples: int = 2000
    max_pixels: int = 200_000_000
    shots: int | None = None


def load(name_or_path: str | Path, overrides: tuple[str, ...] = ()) -> TransferRecipe:
    """Load a recipe by name, or from a YAML file; each override is `key.sub=value`, the value in YAML.

    Raises:
        UsageError: there is no such recipe, or it has problems; all of them are named at once.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        if str(name_or_path) not in NOT_SETS:
            raise UsageError(
                f"recipe {str(name_or_path)!r} is unknown{nearest(str(name_or_path), NOT_SETS)}; "
                f"there are {', '.join(NOT_SETS)}, or give a path that ends in .yaml"
            )
        path = Path(str(files("medmix.recipes") / "eval" / f"{name_or_path}.yaml"))
    data = read_yaml(path)
    for change in overrides:
        override(data, change)
    recipe = parse(TransferRecipe, data, path.name)
    found = _problems(recipe)
    if found:
        raise UsageError("; ".join(f"{path.name}: {problem}" for problem in found))
    return recipe


def as_dict(recipe: TransferRecipe) -> dict[str, Any]:
    """Give the resolved recipe as plain data."""
    plain: dict[str, Any] = asdict(recipe)
    return plain


def _problems(recipe: TransferRecipe) -> list[str]:
    optim, augment = recipe.optim, recipe.augment
    rules = [
        (recipe.size is not None and recipe.size < 8, "size: must be 8 or more"),
        (recipe.epochs < 1, "epochs: must be 1 or more"),
        (recipe.batch < 1, "batch: must be 1 or more"),
        (not recipe.seeds or len(set(recipe.seeds)) < len(recipe.seeds), "seeds: must be one or more, each once"),
        (optim.lr <= 0 or optim.head_lr <= 0, "optim: rates must be above 0"),
        (optim.weight_decay < 0, "optim.weight_decay: must be 0 or more"),
        (not 0 <= optim.warmup_epochs < recipe.epochs, "optim.warmup_epochs: must be 0 or more and below epochs"),
        (optim.clip <= 0, "optim.clip: must be above 0"),
        (not 0 < augment.crop <= 1, "augment.crop: must be above 0 and at most 1"),
        (not 0 <= augment.flip <= 1, "augment.flip: must be 0..1"),
        (not 0 <= augment.tone < 1, "augment.tone: must be 0 or more and below 1"),
        (not recipe.probe.c or min(recipe.probe.c) <= 0, "probe.c: must be one or more, above 0"),
        (recipe.probe.max_iter < 1, "probe.max_iter: must be 1 or more"),
        (recipe.resamples < 1, "resamples: must be 1 or more"),
        (recipe.shots is not None and recipe.shots < 1, "shots: must be 1 or more"),
    ]
    return [problem for broken, problem in rules if broken]
