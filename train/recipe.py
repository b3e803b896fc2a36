"""Dataclasses of a train recipe: the parts to train, text, images, optimiser and run."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal


@dataclass(frozen=True, slots=True)
class Weights:
    """Pretrained weights: their local `path`, and the Hub repository `repo` to download them from."""

    repo: str
    path: str


@dataclass(frozen=True, slots=True)
class Vision:
    """The vision tower and its image preprocessing.

    Attributes:
        timm: name of a timm Vision Transformer.
        size: side in pixels of the square that each image is padded and resized to.
        mean, std: normalisation per channel, of pixels in 0..1.
        kwargs: further arguments of `timm.create_model`, without image size and number of classes.
        weights: a state dict (`.safetensors`, or `.bin` and `.pt`), or None for random initialisation.
        cls_token: also pass the class token to the language model, before the patch tokens.
        max_images: images used per record; further ones are ignored.
        max_pixels: an image whose header states more pixels stops the run.
    """

    timm: str
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    kwargs: dict[str, Any] = field(default_factory=dict)
    weights: Weights | None = None
    cls_token: bool = False
    max_images: int = 4
    max_pixels: int = 100_000_000


@dataclass(frozen=True, slots=True)
class LlamaShape:
    """Arguments of `transformers.LlamaConfig` for a randomly initialised language model."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int = 2048


@dataclass(frozen=True, slots=True)
class Language:
    """The language model and its tokenizer.

    Either `weights` names a transformers folder with its tokenizer, or `shape` and `vocab_size` describe a
    randomly initialised model with a byte-level BPE trained on the mix's training text.

    Attributes:
        bos_token, eos_token, pad_token: the special tokens, by their text. The ids in a model's own config are
            not used, because some published ones contradict their tokenizer.
    """

    RENAMED: ClassVar[dict[str, str]] = {"bos": "bos_token", "eos": "eos_token", "pad": "pad_token"}

    weights: Weights | None = None
    shape: LlamaShape | None = None
    vocab_size: int | None = None
    bos_token: str = "<s>"  # noqa: S105 - no password
    eos_token: str = "</s>"  # noqa: S105 - no password
    pad_token: str = "<pad>"  # noqa: S105 - no password


@dataclass(frozen=True, slots=True)
class ImageText:
    """A model of transformers for images and text, with its own processor and chat template.

    Attributes:
        weights: a folder that `AutoModelForImageTextToText` and `AutoProcessor` load.
        processor: further arguments of `AutoProcessor.from_pretrained`, such as `max_pixels` of Qwen2.5-VL.
        max_images: images used per record; further ones are ignored.
        max_pixels: an image whose header states more pixels stops the run.
    """

    weights: Weights
    processor: dict[str, Any] = field(default_factory=dict)
    max_images: int = 4
    max_pixels: int = 100_000_000


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on the linear layers in `target_modules`.

    Attributes:
        target_modules: names of linear layers of the language model. With `Recipe.model`, an entry that is no plain
            name is a regular expression for whole module names of any part, such as `model.visual.blocks.*qkv`.
        use_rslora, use_dora, init: peft's `use_rslora`, `use_dora` and `init_lora_weights`; `default` is peft's own.
            Initialisations that change the frozen weights are not offered: a checkpoint does not store these.
    """

    RENAMED: ClassVar[dict[str, str]] = {"targets": "target_modules"}

    r: int
    alpha: int
    target_modules: tuple[str, ...]
    dropout: float = 0.0
    use_rslora: bool = False
    use_dora: bool = False
    init: Literal["default", "gaussian", "orthogonal"] = "default"


@dataclass(frozen=True, slots=True)
class Text:
    """The prompt template, in which `{prompt}` is the user's text, and the limits in tokens.

    A long prompt is truncated at its start, a long answer at its end. Each has its own limit, so that a prompt
    never depends on its answer.
    """

    template: str = "User: {prompt}\nAssistant:\n"
    max_prompt_tokens: int = 1024
    max_answer_tokens: int = 512


@dataclass(frozen=True, slots=True)
class Optim:
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), linear warm-up, then `lr_scheduler`.

    The norm of the whole gradient is clipped to `max_grad_norm`; `cosine` falls to 0 at the last step. `lr_tower` and
    `lr_projector` are the learning rates of these parts, `lr` without them. Norms and biases have no weight decay.
    """

    RENAMED: ClassVar[dict[str, str]] = {"schedule": "lr_scheduler", "clip": "max_grad_norm"}

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    warmup_steps: int = 0
    lr_scheduler: Literal["constant", "cosine"] = "cosine"
    max_grad_norm: float = 1.0
    lr_tower: float | None = None
    lr_projector: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """Length of the run, batch sizes, precision, parallelism and checkpoints.

    Attributes:
        epochs, steps: exactly one is given; an epoch has every training record once.
        global_batch_size: records per optimiser step, over all ranks.
        pack_tokens, micro_batch_size: exactly one is given, the size of one rank's forward pass: at most this many
            tokens of records packed without padding, or this many records padded to the longest. Neither changes
            a record's weight in the step. Without dropout the result is the same but for rounding; dropout masks
            depend on it.
        precision: of the forward pass; with `bf16` frozen language weights are stored in bf16 as well.
        gradient_checkpointing: keep one layer's activations at a time, for about a third more work.
        quantize: load frozen pretrained weights in 4 or 8 bits with bitsandbytes (QLoRA: Dettmers et al. 2023,
            arXiv 2305.14314); needs a GPU.
        compile: compile every layer of tower and language model with torch.compile.
        parallel: how the processes of torchrun share the model: a full copy each (`ddp`), or a shard of every
            weight each (`fsdp`, torch's fully_shard), or a copy for each node, whose ranks have a shard of every
            weight each (`hsdp`).
        timeout_minutes: time that a rank waits for the others before it fails; a rank that downloads a shard of the
            mix lets the others wait.
        workers: data loading processes per rank; with 0 the main process loads between the steps.
        require_gpu: do not train on a CPU.
        tensorboard: also write TensorBoard scalars, next to the log.
        loggers: also log to `wandb` or `trackio`.
        evaluate_every: steps between two measurements of the held-out loss, on the mix's validation split; the last
            step has one too. None measures none, since not every mix has such a split.
        evaluate_records: records of each source for that; the same ones each time.
        checkpoint_every: steps between two checkpoints.
        keep_checkpoints: number of latest checkpoints to keep.
        keep: with `best`, the checkpoint with the lowest held-out loss is kept besides the latest.
    """

    RENAMED: ClassVar[dict[str, str]] = {
        "batch": "global_batch_size", "micro_batch": "micro_batch_size", "gpu": "require_gpu",
    }  # fmt: skip

    global_batch_size: int
    pack_tokens: int | None = None
    micro_batch_size: int | None = None
    epochs: int | None = None
    steps: int | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    gradient_checkpointing: bool = False
    quantize: Literal["bnb-4bit", "bnb-8bit"] | None = None
    compile: bool = False
    parallel: Literal["ddp", "fsdp", "hsdp"] = "ddp"
    timeout_minutes: int = 60
    workers: int = 0
    require_gpu: bool = False
    tensorboard: bool = False
    loggers: tuple[Literal["wandb", "trackio"], ...] = ()
    evaluate_every: int | None = None
    evaluate_records: int = 64
    checkpoint_every: int = 100
    keep_checkpoints: int = 2
    keep: Literal["latest", "best"] = "latest"


@dataclass(frozen=True, slots=True)
class Generation:
    """Greedy decoding: records per batch, and the limit of new tokens."""

    RENAMED: ClassVar[dict[str, str]] = {"batch": "batch_size"}

    batch_size: int = 16
    max_new_tokens: int = 64


@dataclass(frozen=True, slots=True)
class Recipe:
    """A train recipe, field by field as in its YAML; `train` names the parts to train, out of `rules.PARTS`.

    The model is either `vision` and `language`, joined by a projector, or `model`. The sections that a recipe lacks
    are None; code that is for one kind of model alone reads the sections of that kind.

    `sources` restricts training to these sources of the mix. A vocabulary made from the mix still covers all
    sources, so that models of different sources have one shape and count tokens alike.

    `skip_records` names records, by their ids, that training leaves out. They keep their places in the order of the
    records: their steps have fewer records, all others stay as they are. Ids that the mix does not have are ignored.
    """

    name: str
    optim: Optim
    run: Run
    vision: Vision = None  # type: ignore[assignment]
    language: Language = None  # type: ignore[assignment]
    model: ImageText | None = None
    train: tuple[str, ...] = ("tower", "projector", "lora")
    lora: Lora | None = None
    text: Text = Text()
    generation: Generation = Generation()
    seed: int = 0
    sources: tuple[str, ...] | None = None
    skip_records: tuple[str, ...] = ()


MODEL_SECTIONS = ("vision", "language", "model")
"""Sections that a recipe of one kind of model lacks."""


def as_dict(recipe: Recipe) -> dict[str, Any]:
    """Give the resolved recipe, defaults included, in the plain form that `from_dict` reads."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(recipe), default=str))
    return {name: value for name, value in plain.items() if value is not None or name not in MODEL_SECTIONS}
