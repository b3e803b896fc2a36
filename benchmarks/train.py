"""Training speed on one model and one mix, in one run: ours packed, ours padded, and transformers' Trainer.

All three train the same parts of the same model on the same records, so many a step, from the same random start, with
AdamW in fp32 on a CPU and bf16 on a GPU. Tokens are those of text and images, padding not counted; waste is the part of
the token positions computed that is padding. The first steps are not timed.

    python benchmarks/train.py --steps 20
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import IterableDataset
from transformers import Trainer, TrainerCallback, TrainingArguments

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from medmix.curate.build import BuildOptions, build  # noqa: E402
from medmix.curate.mixture import load as load_mixture  # noqa: E402
from medmix.train import device, loop, recipe, stream  # noqa: E402
from medmix.train.batches import COLUMNS  # noqa: E402
from medmix.train.collate import Batch, Sample, collate, pixels  # noqa: E402
from medmix.train.model import VisionLanguageModel  # noqa: E402
from medmix.train.ranks import pick_device  # noqa: E402
from medmix.train.render import IGNORE, Renderer  # noqa: E402

WARM_UP = 3

SETTINGS = (
    "language.shape={hidden_size: 256, intermediate_size: 688, num_hidden_layers: 4, num_attention_heads: 4}",
    "text.max_prompt_tokens=512",
    "text.max_answer_tokens=256",
    "optim.warmup_steps=0",
    "run.batch=32",
)


class InTrainer(nn.Module):
    """Our model behind the dictionaries that Trainer passes."""

    def __init__(self, model: VisionLanguageModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, num_items_in_batch: Tensor | None = None, **columns: Tensor) -> dict[str, Tensor]:
        """Give the mean loss of the answer tokens; Trainer passes their number as well."""
        names = ("",) * len(columns["input_ids"])
        sums = self.model(Batch(names, names, **columns))
        return {"loss": sums.sum() / (columns["labels"] != IGNORE).sum()}


class Records(IterableDataset[Sample]):
    """The samples of a mix in the order in which ours are trained."""

    def __init__(self, mix: Path, made: recipe.Recipe, renderer: Renderer) -> None:
        self.split, self.made, self.renderer = stream.open_split(mix, "train"), made, renderer

    def __iter__(self) -> Iterator[Sample]:
        reader = stream.Reader(self.split, COLUMNS)
        for place in stream.places(self.split, self.made.seed, 0, None):
            record = reader.row(place)
            yield Sample(record["id"], *self.renderer.encode(record), pixels(record, self.made.vision))


class Clock(TrainerCallback):
    """Notes when each step ends."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Note the time."""
        self.ends.append(time.monotonic())


def ours(mix: Path, made: recipe.Recipe, out: Path) -> tuple[list[float], list[int], float]:
    """Train by our loop; give seconds and tokens of each step, and the share of the positions that were padding."""
    loop.train(mix, made, out, False)
    log = [json.loads(line) for line in (out / "train_log.jsonl").read_text().splitlines()]
    waste = 1 - sum(entry["tokens"] for entry in log) / sum(entry["tokens"] / entry["token_use"] for entry in log)
    return [entry["seconds"] for entry in log], [entry["tokens"] for entry in log], waste


def trainer(mix: Path, made: recipe.Recipe, out: Path) -> tuple[list[float], list[int], float]:
    """Train by transformers' Trainer, as `ours`."""
    words = loop._tokenizer(stream.open_split(mix, "train"), made)
    torch.manual_seed(0)
    model = VisionLanguageModel(made, words).train()
    renderer = Renderer(words, made.text, model.image_tokens, made.vision.max_images)
    tokens: list[int] = []
    positions: list[int] = []

    def columns(samples: list[Sample]) -> dict[str, Tensor]:
        batch = collate(samples, words.pad_token_id, made.vision.size)
        tokens.append(int(batch.attention_mask.sum()))
        positions.append(batch.input_ids.numel())
        names = ("input_ids", "attention_mask", "position_ids", "owners", "labels", "pixels")
        return {name: getattr(batch, name) for name in names}

    clock, run = Clock(), made.run
    settings = TrainingArguments(
        output_dir=str(out),
        max_steps=run.steps or 1,
        per_device_train_batch_size=run.batch,
        learning_rate=made.optim.lr,
        bf16=run.precision == "bf16",
        use_cpu=pick_device().type == "cpu",
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        remove_unused_columns=False,
        disable_tqdm=True,
    )
    work = Trainer(
        InTrainer(model), settings, data_collator=columns, train_dataset=Records(mix, made, renderer), callbacks=[clock]
    )
    started = time.monotonic()
    work.train()
    seconds = [end - begin for begin, end in zip([started, *clock.ends], clock.ends, strict=False)]
    return seconds, tokens[: len(seconds)], 1 - sum(tokens) / sum(positions)


def main() -> None:
    """Print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--recipe", default="smoke-cpu", help="with --mix, another recipe as it is")
    parser.add_argument("--mix", type=Path, help="folder of a mix; without it the sample mix is built")
    arguments = parser.parse_args()
    where = pick_device()
    with tempfile.TemporaryDirectory() as scratch:
        mix = arguments.mix or Path(scratch, "mix")
        if not arguments.mix:
            build(load_mixture("sample"), None, mix, BuildOptions(workers=os.cpu_count() or 1))
        given = SETTINGS if arguments.recipe == "smoke-cpu" else ()
        common = (*given, "run.epochs=null", f"run.steps={arguments.steps}", "run.checkpoint_every=1000000")
        made = recipe.load(arguments.recipe, common)
        padded = recipe.load(arguments.recipe, (*common, "run.pack_tokens=null", f"run.micro_batch={made.run.batch}"))
        lines = [
            ("ours, packed", ours(mix, made, Path(scratch, "packed"))),
            ("ours, padded", ours(mix, padded, Path(scratch, "padded"))),
            ("Trainer, padded", trainer(mix, padded, Path(scratch, "trainer"))),
        ]
    print(f"{made.name} on {device.name(where)}, {torch.get_num_threads()} threads, {made.run.batch} records a step")
    print("                 tokens/s  samples/s  padding")
    for name, (seconds, tokens, waste) in lines:
        spent = list(islice(seconds, WARM_UP, None))
        middle = statistics.median(spent)
        each = statistics.mean(islice(tokens, WARM_UP, None))
        print(f"{name:15}  {each / middle:8.0f}  {made.run.batch / middle:9.1f}  {waste:7.1%}")


if __name__ == "__main__":
    main()
