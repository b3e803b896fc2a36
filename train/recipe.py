"""The train recipe: what is trained, on which text and images, and how."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights made elsewhere: `path` is where they lie here, `repo` the Hub repository that they come from."""

    repo: str
    path: str


@dataclass(frozen=True, slots=True)
class Vision:
    """The vision tower and the pixels that it sees.

    Attributes:
        timm: name of a timm Vision Transformer.
        size: side of the square that an image is fitted into, in pixels.
        mean, std: per channel, of pixels in 0..1.
        kwargs: further arguments of the timm model; size and number of classes are not among them.
        weights: a state dict (`.safetensors`, or `.bin` and `.pt`), or None for a random start.
        cls_token: whether the class token goes to the language model before the patch tokens.
        max_images: the first so many images of a record are used.
        max_pixels: an image whose header claims more pixels stops the run.
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
    """Arguments of `transformers.LlamaConfig` for a language model that starts at random."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int = 2048


@dataclass(frozen=True, slots=True)
class Language:
    """The language model and its tokenizer.

    Either `weights` names a folder in transformers' layout with its tokenizer, or `shape` and
    `vocab_size` describe a random start with a byte-level BPE trained on the mix's own training text.

    Attributes:
        bos, eos, pad: the special tokens as the vocabulary spells them. The ids in a model's own
            config are not used, because some published ones contradict their tokenizer.
    """

    weights: Weights | None = None
    shape: LlamaShape | None = None
    vocab_size: int | None = None
    bos: str = "<s>"
    eos: str = "</s>"
    pad: str = "<pad>"


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on the linear layers named in `targets`."""

    r: int
    alpha: int
    targets: tuple[str, ...]
    dropout: float = 0.0


@dataclass(frozen=True, slots=True)
class Text:
    """How a conversation becomes text; `{prompt}` in the template is what the user says.

    A prompt that is too long loses its start, an answer that is too long its end, each by its own limit
    in tokens, so that a prompt never depends on its answer.
    """

    template: str = "User: {prompt}\nAssistant:\n"
    max_prompt_tokens: int = 1024
    max_answer_tokens: int = 512


@dataclass(frozen=True, slots=True)
class Optim:
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), linear warm-up, then `schedule`.

    `clip` bounds the norm of the whole gradient; `cosine` falls to 0 at the last step.
    """

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    warmup_steps: int = 0
    schedule: Literal["constant", "cosine"] = "cosine"
    clip: float = 1.0


@dataclass(frozen=True, slots=True)
class Run:
    """How long and in which portions.

    Attributes:
        epochs, steps: exactly one is given; in an epoch every training record comes once.
        batch: records per optimiser step, over all ranks.
        pack_tokens, micro_batch: exactly one is given, what one rank takes in one forward pass: records packed
            without padding into so many tokens at most, or so many records padded to the longest. Neither
            changes the result.
        precision: of the forward pass; with `bf16` frozen language weights are held in bf16 as well.
        gradient_checkpointing: keep one layer's activations at a time, for about a third more work.
        compile: compile every layer of tower and language model with torch.compile.
        parallel: how several processes of torchrun work together: each with the whole model (`ddp`), or
            each with a share of every weight (`fsdp`, torch's fully_shard).
        workers: processes per rank that read and decode; 0 does it between the steps.
        gpu: refuse to train without a GPU.
        tensorboard: write scalars for TensorBoard beside the log.
        checkpoint_every: steps between two checkpoints.
        keep_checkpoints: so many last ones stay on disk.
    """

    batch: int
    pack_tokens: int | None = None
    micro_batch: int | None = None
    epochs: int | None = None
    steps: int | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    gradient_checkpointing: bool = False
    compile: bool = False
    parallel: Literal["ddp", "fsdp"] = "ddp"
    workers: int = 0
    gpu: bool = False
    tensorboard: bool = False
    checkpoint_every: int = 100
    keep_checkpoints: int = 2


@dataclass(frozen=True, slots=True)
class Generation:
    """Greedy answers: so many records at a time, so many new tokens at most."""

    batch: int = 16
    max_new_tokens: int = 64


@dataclass(frozen=True, slots=True)
class Recipe:
    """A train recipe as its YAML says it; `train` names what is trained, out of `PARTS`.

    `sources` trains on these sources of the mix alone; a vocabulary that is made from the mix is of all of them still,
    so that models of different sources have one shape and count tokens alike.
    """

    name: str
    vision: Vision
    language: Language
    optim: Optim
    run: Run
    train: tuple[str, ...] = ("tower", "projector", "lora")
    lora: Lora | None = None
    text: Text = Text()
    generation: Generation = Generation()
    seed: int = 0
    sources: tuple[str, ...] | None = None


def as_dict(recipe: Recipe) -> dict[str, Any]:
    """Give the resolved recipe, defaults included, in the plain form that `from_dict` reads."""
    plain: dict[str, Any] = _plain(asdict(recipe))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
