"""Exports a checkpoint as a transformers folder: model, processor and card, compared with the checkpoint."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from medmix.curate.errors import UsageError, WorkError

from ..model.language import weights_dtype
from ..rank_zero import say
from ..run import checkpoint as checkpoints
from ..run import model_card
from ..run.metrics_logger import LOG_NAME
from .comparison import compare, references
from .llava import to_llava
from .processor import make_processor
from .vision import find_layout

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Dtypes of exported weights by their names."""

SHARD_SIZE = "2GB"
"""Largest file of weights. Writing a file takes its size in memory, beside the model."""


def export(checkpoint: Path, out: Path, dtype: str | None = None) -> float:
    """Write a checkpoint as a transformers folder, load it again and compare.

    Args:
        checkpoint: a checkpoint, or a run, whose latest one is taken.
        out: folder to write; must be missing or empty.
        dtype: of the weights, one of `DTYPES`; None takes that of the language model in training.

    Returns:
        The largest difference between logits of the exported model and ours.

    Raises:
        UsageError: there is no checkpoint, `out` is not empty, or transformers has no tower of that kind.
        WorkError: the folder cannot be written, or what it computes differs from the checkpoint.
    """
    loaded = checkpoints.load(checkpoint)
    validate_empty(out)
    tower = loaded.model.tower.timm
    layout = find_layout(tower, loaded.recipe.vision.timm)
    target = DTYPES[dtype] if dtype else weights_dtype(loaded.recipe)
    if target == torch.float32:
        loaded.model.float()
    ours = references(loaded)
    with new_folder(out) as folder:
        patch, has_class = tower.patch_embed.patch_size[0], tower.num_prefix_tokens == 1
        processor = make_processor(loaded.tokenizer, loaded.recipe, patch, has_class)
        exported = to_llava(loaded.model, loaded.recipe, layout, processor.image_token_id, target)
        exported.save_pretrained(folder, max_shard_size=SHARD_SIZE)
        processor.save_pretrained(folder)
        recipe, state, run = loaded.recipe, loaded.state, loaded.path.parent
        del loaded, exported, tower  # the folder is loaded again, and memory need not hold both
        difference = compare(folder, ours, target)
        facts = model_card.Exported(difference, dtype_name(target), layout.name, layout.served)
        model_card.write(folder, out.name, recipe, state, run / LOG_NAME, facts)
    say(f"{len(ours)} prompts have equal token ids and answers; logits differ by at most {difference:.1g}")
    return difference


def dtype_name(dtype: torch.dtype) -> str:
    """Give the name of a dtype in `DTYPES`."""
    return next(name for name, each in DTYPES.items() if each == dtype)


def validate_empty(out: Path) -> None:
    """Raise unless a folder is missing or empty.

    Raises:
        UsageError: it is not.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is not empty; give another --out, or remove it")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a folder beside `out` to write in; it takes the place of `out` only if the block succeeds.

    Raises:
        WorkError: it cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
            folder = Path(scratch, "model")
            yield folder
            if out.exists():
                out.rmdir()
            shutil.move(folder, out)
    except OSError as error:
        raise WorkError(f"{out} cannot be written ({error}); make room and type the same command again") from error
