"""One part of `gpu.sh`: does it on the GPU, or on the CPU with `--tiny`, and writes one row of figures as JSON.

Random weights are drawn on the device, which takes seconds where a CPU takes minutes. Memory is what PyTorch allocated
at most on a GPU; on a CPU how far the peak of the process rose above what it was before the model was made, libraries
and row groups included, which outweigh a small model.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.train import SEVEN_B, SMALL, WARM_UP, ours  # noqa: E402
from medmix.curate.build import BuildOptions, build  # noqa: E402
from medmix.curate.mixtures import load as load_mixture  # noqa: E402
from medmix.train import device, estimate, recipes  # noqa: E402
from medmix.train.data import stream  # noqa: E402
from medmix.train.data.batches import COLUMNS  # noqa: E402
from medmix.train.data.collate import Sample, collate, collate_packed, raw_pixels  # noqa: E402
from medmix.train.data.render import IGNORE_INDEX, Renderer  # noqa: E402
from medmix.train.data.tokenizer import train_bpe  # noqa: E402
from medmix.train.memory import estimate_memory  # noqa: E402
from medmix.train.model.attention import attention, block_mask, has_varlen_kernel  # noqa: E402
from medmix.train.model.vision_language import VisionLanguageModel  # noqa: E402
from medmix.train.recipe import Recipe  # noqa: E402
from medmix.train.run import loop  # noqa: E402
from medmix.train.run.ranks import Ranks, pick_device  # noqa: E402
from medmix.train.survey import RecordMeans  # noqa: E402

HERE = pick_device()
LENGTHS = (700, 3, 129, 1, 512, 64, 256, 383)
"""Tokens of the samples of a packed row."""

Row = dict[str, Any]


def make_recipe(tiny: bool, *overrides: str) -> Recipe:
    """Give the recipe of the 7B shape, or of a small one."""
    name, given = ("smoke-cpu", (*SMALL, "run.global_batch_size=8")) if tiny else ("openmedq-7b", SEVEN_B)
    common = ("run.epochs=null", "optim.warmup_steps=0", "optim.lr_scheduler=constant", "run.checkpoint_every=1000000")
    return recipes.load(name, (*given, *common, *overrides))


def make_tokenizer(split: stream.Split, made: Recipe) -> PreTrainedTokenizerBase:
    """Train the vocabulary on the mix, and fill it up to the recipe's size, which decides the output layer's work."""
    tokenizer = TRAIN_TOKENIZER(split, made)
    missing = (made.language.vocab_size or 0) - len(tokenizer)
    tokenizer.add_tokens([f"<unused-{number}>" for number in range(missing)])
    return tokenizer


TRAIN_TOKENIZER = loop.initial_tokenizer


def on_device(made: Recipe, tokenizer: PreTrainedTokenizerBase) -> VisionLanguageModel:
    """Make a model with its random weights on the device."""
    with torch.device(HERE):
        return VisionLanguageModel(made, tokenizer)


@contextmanager
def patched() -> Iterator[None]:
    """Let the loop make its model on the device, with a full vocabulary."""
    with (
        mock.patch.object(loop, "VisionLanguageModel", on_device),
        mock.patch.object(loop, "initial_tokenizer", make_tokenizer),
    ):
        yield


def mix_part(arguments: argparse.Namespace) -> Row:
    """Build the sample mix that the other parts read, unless there is a mix."""
    if not (arguments.mix / "manifest.json").exists():
        build(load_mixture("sample"), None, arguments.mix, BuildOptions(workers=1))  # others would import torch
    split = stream.open_split(arguments.mix, "train")
    return {"note": f"{len(split)} records; {device.name(HERE)}, torch {torch.__version__}"}


def train_part(arguments: argparse.Namespace) -> Row:
    """Train some steps; compare speed and memory with the prediction."""
    tiny = arguments.tiny
    padded = ("run.pack_tokens=null", f"run.micro_batch_size={4 if tiny else 16}") if arguments.padded else ()
    made = make_recipe(tiny, f"run.steps={arguments.steps}", *padded, *arguments.set)
    split = stream.open_split(arguments.mix, "train")
    spec = device.describe(HERE, estimate.matmul_dtype(made))
    plan = estimate.plan_for(made, make_tokenizer(split, made), split, arguments.steps, spec, 1)
    before = 0.0 if HERE.type == "cuda" else device.peak_memory_gib(HERE)
    with tempfile.TemporaryDirectory() as scratch, patched():
        timed = ours(arguments.mix, made, Path(scratch)).after_warm_up()
    seconds = statistics.median(timed.seconds)
    operations = statistics.mean(entry["mfu"] * entry["seconds"] for entry in timed.log)
    tokens = statistics.mean(entry["tokens"] for entry in timed.log)
    predicted = plan.prediction.hours * 3600 / arguments.steps
    return {
        "tokens_per_second": tokens / seconds,
        "mfu": operations / seconds,
        "memory_gib": timed.log[-1]["memory_gib"] - before,
        "predicted_gib": plan.prediction.memory / device.GIB,
        "note": f"{seconds:.2f} s a step, predicted {predicted:.2f} at {estimate.ASSUMED_MFU:.0%} MFU",
    }


def memory_part(arguments: argparse.Namespace) -> Row:
    """Compare how much more memory a larger pack takes, forward and backward, with the estimate's difference.

    The smaller pack comes first, so what libraries and weights take is in both.
    """
    made = make_recipe(arguments.tiny, "run.steps=1")
    means = RecordMeans(tokens=256.0, squared_tokens=256.0**2, answer_tokens=16.0, images=0.0)
    tokenizer = train_bpe(["a"], replace(made.language, vocab_size=300))
    model = loop.prepare_model(on_device(made, tokenizer), made, Ranks(0, 1, HERE))
    sample = Sample("", [5] * 256, [IGNORE_INDEX] * 240 + [6] * 16, [])

    def peak(tokens: int) -> float:
        batch = collate_packed([sample] * (tokens // 256), 0, made.vision.size).to(HERE)
        with torch.autocast(HERE.type, torch.bfloat16, enabled=made.run.precision == "bf16"):
            model(batch).sum().backward()
        model.zero_grad()
        return device.peak_memory_gib(HERE)

    def estimated(tokens: int) -> int:
        return estimate_memory(model, replace(made, run=replace(made.run, pack_tokens=tokens)), means)

    small, large = (1024, 8192) if arguments.tiny else (1024, made.run.pack_tokens or 4096)
    peak(small)  # the first call allocates what later ones use again
    measured = -(peak(small) - peak(large))
    predicted = (estimated(large) - estimated(small)) / device.GIB
    note = f"a pack of {large} instead of {small} tokens"
    return {"memory_gib": measured, "predicted_gib": predicted, "note": note}


def attention_part(arguments: argparse.Namespace) -> Row:
    """Compare the kernel for unequal lengths with a call of SDPA per sample, outputs and gradients, in bf16."""
    heads, width = (4, 32) if arguments.tiny else (32, 128)
    total = sum(LENGTHS)
    generator = torch.Generator(HERE).manual_seed(0)
    shape = (1, heads, total, width)
    inputs = [torch.randn(shape, generator=generator, device=HERE, dtype=torch.bfloat16) for _ in range(3)]
    upstream = torch.randn((1, total, heads, width), generator=generator, device=HERE, dtype=torch.bfloat16)

    def run(dtype: torch.dtype, mask: Tensor | None = None, **lengths: Any) -> list[Tensor]:
        q, k, v = (part.detach().to(dtype).requires_grad_() for part in inputs)
        out, _ = attention(torch.nn.Module(), q, k, v, mask, **lengths)
        return [out.detach(), *torch.autograd.grad(out, (q, k, v), upstream.to(dtype))]

    kernel = has_varlen_kernel(HERE)
    bounds = torch.tensor([0, *torch.tensor(LENGTHS).cumsum(0).tolist()], dtype=torch.int32, device=HERE)
    ours_ = (
        run(torch.bfloat16, cu_seqlens=bounds, max_seqlen=max(LENGTHS))
        if kernel
        else run(torch.bfloat16, block_mask(LENGTHS, HERE))
    )
    sdpa, exact = run(torch.bfloat16, seq_lens=LENGTHS), run(torch.float32, seq_lens=LENGTHS)

    def error(found: list[Tensor]) -> float:
        """Give the largest difference from fp32, as a part of the largest value of each tensor."""
        return max(float((a.float() - b).abs().max() / b.abs().max()) for a, b in zip(found, exact, strict=True))

    errors = error(ours_), error(sdpa)
    name = "varlen kernel" if kernel else "no varlen kernel here; by mask"
    note = f"{name}: {errors[0]:.1e} from fp32, SDPA {errors[1]:.1e}"
    if errors[0] > 2 * errors[1]:
        raise SystemExit(f"the kernel differs: {note}")
    return {"note": note}


def resume_part(arguments: argparse.Namespace) -> Row:
    """Train four steps, and again with a stop after two; four layers of the 7B's width, since checkpoints take disk."""
    shape = () if arguments.tiny else (SEVEN_B[1].replace("num_hidden_layers: 32", "num_hidden_layers: 4"),)
    made = make_recipe(arguments.tiny, "run.steps=4", *shape, "run.checkpoint_every=2", "run.keep_checkpoints=1")
    train_step, calls = loop.train_step, []

    def stopping(*given: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise InterruptedError
        return train_step(*given)

    with tempfile.TemporaryDirectory() as scratch, patched():
        through, stopped = Path(scratch, "through"), Path(scratch, "stopped")
        loop.train(arguments.mix, made, through, False)
        with mock.patch.object(loop, "train_step", stopping):
            try:
                loop.train(arguments.mix, made, stopped, False)
            except InterruptedError:
                loop.train(arguments.mix, made, stopped, False)
        logs = [(run / "train_log.jsonl").read_text().splitlines() for run in (through, stopped)]
    one, other = ([json.loads(line)["loss"] for line in log[-2:]] for log in logs)
    largest = max(abs(a - b) for a, b in zip(one, other, strict=True))
    if largest > 1e-2:
        raise SystemExit(f"the resumed run's losses differ by {largest:.1e}")
    return {"note": f"losses of steps 3 and 4 after a resume differ by {largest:.1e} ({one[-1]:.4f} nats)"}


def generation_part(arguments: argparse.Namespace) -> Row:
    """Decode greedily in batches; the end token is held back, so that all answers are equally long."""
    made = make_recipe(arguments.tiny, "run.steps=1")
    split = stream.open_split(arguments.mix, "train")
    tokenizer = make_tokenizer(split, made)
    model = on_device(made, tokenizer).eval()
    renderer = Renderer(tokenizer, made.text, model.image_tokens, made.vision.max_images)
    tokens, batches = (8, (1, 4)) if arguments.tiny else (64, (1, 8, 32))
    model.base.generation_config.min_new_tokens = tokens
    samples = []
    for row in stream.rows(split, COLUMNS):
        ids = renderer.prompt_ids(row)
        samples.append(Sample(row["id"], ids, [IGNORE_INDEX] * len(ids), raw_pixels(row, made.vision)))
        if len(samples) == max(batches):
            break
    speeds = {}
    for size in batches:
        batch = collate(samples[:size], tokenizer.pad_token_id, made.vision.size, side="left").to(HERE)
        model.generate(batch, 2)  # the first call plans and allocates
        started = time.perf_counter()
        answers = model.generate(batch, tokens).cpu()  # waits for the device
        speeds[size] = answers.numel() / (time.perf_counter() - started)
    told = ", ".join(f"{size}: {speed:.0f}" for size, speed in speeds.items())
    memory = device.peak_memory_gib(HERE) if HERE.type == "cuda" else None
    return {"tokens_per_second": speeds[max(batches)], "memory_gib": memory, "note": f"tokens/s by batch: {told}"}


PARTS = {
    "mix": mix_part, "train": train_part, "memory": memory_part, "attention": attention_part, "resume": resume_part,
    "generation": generation_part,
}  # fmt: skip


def main() -> None:
    """Do one part and write its row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--mix", type=Path, required=True)
    parser.add_argument("--row", type=Path, required=True, help="file for the figures")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--padded", action="store_true")
    parser.add_argument("--steps", type=int, default=WARM_UP + 3, help="the first ones are not timed")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a recipe value")
    arguments = parser.parse_args()
    if arguments.steps <= WARM_UP:
        parser.error(f"--steps: must be above {WARM_UP}, which are not timed")
    if HERE.type == "cpu" and not arguments.tiny:
        raise SystemExit("PyTorch finds no GPU here; --tiny runs on a CPU")
    row = PARTS[arguments.part](arguments)
    arguments.row.write_text(json.dumps(row), encoding="utf-8")


if __name__ == "__main__":
    main()
