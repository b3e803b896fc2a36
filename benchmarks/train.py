"""Training speed on one model and one mix, in one run: ours packed, ours padded, and transformers' Trainer.

All train the same parts of the same model on the same records, so many a step, from the same random start, with AdamW,
in fp32 on a CPU and as the recipe says on a GPU. Tokens are those of text and images, padding not counted. "Padding" is
the part of the token positions computed that is none of them, "data" the part of the time that the loop waits for
records. MFU counts the operations of `train/estimate.py` (LoRA: 4N a token), what gradient checkpointing computes
again left out, against the data sheet's peak of the GPU, or that of a matrix product measured here. A step's time is
the median over all rounds, the first steps of each left out. No checkpoint is written.

    python benchmarks/train.py --steps 20 --rounds 2
    python benchmarks/train.py --seven-b --mix mixes/v1 --steps 30 --micro-batch-size 8     # one GPU of 80 GB or more
"""

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import transformers
from torch import Tensor, nn
from torch.utils.data import IterableDataset, get_worker_info
from transformers import Trainer, TrainerCallback, TrainingArguments

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from medmix.curate.build import BuildOptions, build  # noqa: E402
from medmix.curate.mixtures import load as load_mixture  # noqa: E402
from medmix.train import device, estimate, recipe, recipes  # noqa: E402
from medmix.train.data import stream  # noqa: E402
from medmix.train.data.batches import COLUMNS  # noqa: E402
from medmix.train.data.collate import Batch, Sample, collate, pixels  # noqa: E402
from medmix.train.data.render import Renderer  # noqa: E402
from medmix.train.model.vision_language import VisionLanguageModel  # noqa: E402
from medmix.train.run import checkpoint, loop  # noqa: E402
from medmix.train.run.metrics_logger import LOG_NAME, read_log  # noqa: E402
from medmix.train.run.ranks import Ranks, pick_device  # noqa: E402

WARM_UP = 3

SMALL = (
    "language.shape={hidden_size: 256, intermediate_size: 688, num_hidden_layers: 4, num_attention_heads: 4}",
    "text.max_prompt_tokens=512",
    "text.max_answer_tokens=256",
    "run.global_batch_size=32",
)
"""Overrides of smoke-cpu for a model whose matrix products outweigh its overhead."""

SEVEN_B = (
    "language.weights=null",
    "language.shape={hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32, num_attention_heads: 32}",
    "language.vocab_size=32000",
    "vision.weights=null",
)
"""Overrides of openmedq-7b for a model of its shape with random weights."""


@dataclass(frozen=True)
class Timed:
    """Seconds of each step, and what our log says of the same step."""

    seconds: list[float]
    log: list[dict[str, Any]]
    waits: bool = True

    def after_warm_up(self) -> "Timed":
        """Leave the first steps out."""
        return Timed(self.seconds[WARM_UP:], self.log[WARM_UP:], self.waits)


class InTrainer(nn.Module):
    """Our model behind the dictionaries that Trainer passes."""

    def __init__(self, model: VisionLanguageModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, num_items_in_batch: Tensor | None = None, **columns: Tensor) -> dict[str, Tensor]:
        """Give the loss over the answer tokens of the step, whose number Trainer passes, or of the batch."""
        names = ("",) * len(columns["input_ids"])
        sums = self.model(Batch(names, names, **columns))
        count = columns["targets"].numel() if num_items_in_batch is None else num_items_in_batch
        return {"loss": sums.sum() / count}


class Records(IterableDataset[Sample]):
    """The samples of a mix in the order in which ours are trained."""

    def __init__(self, mix: Path, made: recipe.Recipe, renderer: Renderer) -> None:
        self.split, self.made, self.renderer = stream.open_split(mix, "train"), made, renderer

    def __iter__(self) -> Iterator[Sample]:
        """Yield samples; of several workers each yields its share."""
        reader, worker = stream.Reader(self.split, COLUMNS), get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for place in islice(stream.row_positions(self.split, self.made.seed, 0, None), first, None, step):
            record = reader.row(place)
            yield Sample(record["id"], *self.renderer.encode(record), pixels(record, self.made.vision))


class Columns:
    """Trainer's collator."""

    def __init__(self, pad_token_id: int, size: int) -> None:
        self.pad_token_id, self.size = pad_token_id, size

    def __call__(self, samples: list[Sample]) -> dict[str, Tensor]:
        """Pad samples to the longest."""
        batch = collate(samples, self.pad_token_id, self.size)
        values = {field.name: getattr(batch, field.name) for field in fields(batch)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}


class Clock(TrainerCallback):
    """Notes when each step ends."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Wait for the GPU and note the time."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.monotonic())


def ours(mix: Path, made: recipe.Recipe, out: Path) -> Timed:
    """Train by our loop, which waits for each step when the next one is handed over."""
    with (
        mock.patch.object(loop, "full_state_dict", return_value={}),
        mock.patch.object(loop, "full_optimizer_state", return_value={}),
        mock.patch.object(checkpoint, "save"),
    ):
        loop.train(mix, made, out, False)
    log = read_log(out / LOG_NAME)
    return Timed([entry["seconds"] for entry in log], log)


def trainer(mix: Path, made: recipe.Recipe, out: Path, padded: Timed) -> Timed:
    """Train by transformers' Trainer; its steps hold the records of our padded run."""
    tokenizer = loop.initial_tokenizer(stream.open_split(mix, "train"), made)
    torch.manual_seed(0)
    model = VisionLanguageModel(made, tokenizer)
    loop.prepare_model(model, made, Ranks(0, 1, pick_device()))
    renderer = Renderer(tokenizer, made.text, model.image_tokens, made.vision.max_images)
    clock, run = Clock(), made.run
    micro_batch_size = run.micro_batch_size or run.global_batch_size
    settings = TrainingArguments(
        output_dir=str(out),
        max_steps=run.steps or 1,
        per_device_train_batch_size=micro_batch_size,
        gradient_accumulation_steps=run.global_batch_size // micro_batch_size,
        learning_rate=made.optim.lr,
        optim="adamw_torch_fused",
        bf16=run.precision == "bf16",
        use_cpu=pick_device().type == "cpu",
        dataloader_num_workers=run.workers,
        accelerator_config={"dispatch_batches": False},  # it would cut all tensors to as many rows as there are records
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        remove_unused_columns=False,
        disable_tqdm=True,
    )
    work = Trainer(
        InTrainer(model),
        settings,
        data_collator=Columns(tokenizer.pad_token_id, made.vision.size),
        train_dataset=Records(mix, made, renderer),
        callbacks=[clock],
    )
    started = time.monotonic()
    work.train()
    seconds = [end - begin for begin, end in zip([started, *clock.ends], clock.ends, strict=False)]
    return Timed(seconds, padded.log, waits=False)


def make_room() -> None:
    """Give a GPU's memory back before the next model comes."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def line(name: str, rounds: list[Timed], batch: int, peak: float) -> str:
    """Give speed, use of the device, padding and waiting, over all rounds."""
    timed = [each.after_warm_up() for each in rounds]
    log = [entry for each in timed for entry in each.log]
    seconds = statistics.median(second for each in timed for second in each.seconds)
    tokens = statistics.mean(entry["tokens"] for entry in log)
    operations = statistics.mean(entry["mfu"] * entry["seconds"] for entry in log) * peak
    waste = 1 - sum(entry["tokens"] for entry in log) / sum(
        entry["tokens"] / entry["packing_efficiency"] for entry in log
    )
    waited = sum(entry["data_seconds"] for entry in log) / sum(entry["seconds"] for entry in log)
    mfu, data = operations / seconds / peak, f"{waited:6.1%}" if timed[0].waits else "     -"
    return f"{name:15}  {tokens / seconds:8.0f}  {batch / seconds:9.1f}  {mfu:6.1%}  {waste:7.1%}  {data}"


def main() -> None:
    """Print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1, help="each is trained so many times, in turn")
    parser.add_argument("--recipe", default="smoke-cpu", help="another recipe, as it is")
    parser.add_argument("--seven-b", action="store_true", help="openmedq-7b with random weights")
    parser.add_argument("--mix", type=Path, help="folder of a mix; without it the sample mix is built")
    parser.add_argument(
        "--micro-batch-size", type=int, help="records that pass together where they are padded; all of a step"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a value of the recipe"
    )
    arguments = parser.parse_args()
    where = pick_device()
    name = "openmedq-7b" if arguments.seven_b else arguments.recipe
    given = SEVEN_B if arguments.seven_b else SMALL if name == "smoke-cpu" else ()
    length = ("run.epochs=null", f"run.steps={arguments.steps}", "optim.warmup_steps=0", "run.checkpoint_every=1000000")
    common = (*given, *length, *arguments.set)
    made = recipes.load(name, common)
    micro_batch_size = arguments.micro_batch_size or made.run.global_batch_size
    padded = recipes.load(name, (*common, "run.pack_tokens=null", f"run.micro_batch_size={micro_batch_size}"))
    rounds: dict[str, list[Timed]] = {"ours, packed": [], "ours, padded": [], "Trainer, padded": []}
    with tempfile.TemporaryDirectory() as scratch:
        mix = arguments.mix or Path(scratch, "mix")
        if not arguments.mix:
            build(load_mixture("sample"), None, mix, BuildOptions(workers=os.cpu_count() or 1))
        for number in range(arguments.rounds):
            rounds["ours, packed"].append(ours(mix, made, Path(scratch, f"packed-{number}")))
            make_room()
            rounds["ours, padded"].append(ours(mix, padded, Path(scratch, f"padded-{number}")))
            make_room()
            peer = trainer(mix, padded, Path(scratch, f"trainer-{number}"), rounds["ours, padded"][-1])
            rounds["Trainer, padded"].append(peer)
            make_room()
    peak = device.peak(where, estimate.matmul_dtype(made))
    print(
        f"{made.name} on {device.name(where)}, {torch.get_num_threads()} threads, {made.run.precision}, "
        f"{made.run.global_batch_size} records a step, torch {torch.__version__}, "
        f"transformers {transformers.__version__}; peak {peak.flops / 1e12:.3g} TFLOP/s ({peak.origin})"
    )
    print("                 tokens/s  samples/s     MFU  padding    data")
    for label, timed in rounds.items():
        print(line(label, timed, made.run.global_batch_size, peak.flops))


if __name__ == "__main__":
    main()
