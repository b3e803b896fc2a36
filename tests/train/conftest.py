"""A small mix, written as `medmix build` writes one, and recipes that fit it."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from medmix.curate.write import manifest
from medmix.train import recipes
from medmix.train.recipe import Recipe

from ..curate.conftest import hub as hub

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "source": pa.string(),
        "task": pa.string(),
        "images": pa.list_(pa.struct({"bytes": pa.binary(), "path": pa.string()})),
        "messages": pa.list_(
            pa.struct({"role": pa.string(), "content": pa.list_(pa.struct({"type": pa.string(), "text": pa.string()}))})
        ),
        "question": pa.string(),
        "answer": pa.string(),
        "alternatives": pa.list_(pa.string()),
        "choices": pa.list_(pa.string()),
        **{name: pa.string() for name in ("answer_type", "language", "group", "modality")},
        "upstream": pa.struct({"file": pa.string()}),
    }
)
COLOURS = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200)}

TINY = (
    "vision.kwargs={patch_size: 16, embed_dim: 32, depth: 1, num_heads: 2}",
    "vision.size=32",
    "language.shape={hidden_size: 32, intermediate_size: 64, num_hidden_layers: 1, num_attention_heads: 2}",
    "language.vocab_size=320",
    "optim.warmup_steps=0",
    "run.global_batch_size=8",
    "run.pack_tokens=512",
    "text.max_prompt_tokens=64",
    "text.max_answer_tokens=32",
    "generation={batch_size: 4, max_new_tokens: 8}",
)
"""Overrides that make the smoke recipe train in a moment."""


def png(colour: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> bytes:
    """Give a plain picture as PNG bytes."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def record(
    key: str, task: str, question: str, answer: str, *images: bytes, choices: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Give one row of a mix, with the columns that training and scoring read; `key` is `source/number`."""
    parts = [*({"type": "image", "text": None} for _ in images), {"type": "text", "text": question}]
    return {
        "id": key,
        "source": key.split("/")[0],
        "task": task,
        "images": [{"bytes": data, "path": f"{i}.png"} for i, data in enumerate(images)],
        "messages": [
            {"role": "user", "content": parts},
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        ],
        "question": question,
        "answer": answer.splitlines()[0].partition(". ")[2] if choices else answer.splitlines()[0],
        "alternatives": [],
        "choices": list(choices),
        "answer_type": "",
        "language": "en",
        "group": key,
        "modality": "",
        "upstream": {"file": "rows.json"},
    }


def records(count: int, split: str) -> list[dict[str, Any]]:
    """Give `count` records each of a source with images, a captioned one and one of text alone."""
    made = []
    for number in range(count):
        colour = list(COLOURS)[number % 3]
        image = png(COLOURS[colour], (40 + number % 5, 30))
        made.append(record(f"colours/{split}-{number}", "vqa", "What colour is it?", colour, image))
        made.append(
            record(f"pictures/{split}-{number}", "caption", "Describe this image.", f"all {colour}", image, image)
        )
        question = f"Is {number} even?\nA. yes\nB. no"
        answer = "A. yes\nIt is." if number % 2 else "B. no"
        made.append(record(f"texts/{split}-{number}", "mcqa", question, answer, choices=("yes", "no")))
    return made


def write_mix(
    folder: Path,
    splits: dict[str, list[dict[str, Any]]],
    row_group: int = 5,
    weights: dict[str, float] | None = None,
    temperature: float = 1.0,
) -> Path:
    """Write records as a mix: two shards for each source and split, `texts` restricted."""
    for split, rows in splits.items():
        for source in sorted({row["source"] for row in rows}):
            mine = [row for row in rows if row["source"] == source]
            part = folder / ("restricted" if source == "texts" else "data") / source
            part.mkdir(parents=True, exist_ok=True)
            for shard, half in enumerate((mine[::2], mine[1::2])):
                table = pa.Table.from_pylist(half, schema=SCHEMA)
                pq.write_table(table, part / f"{split}-{shard:05d}-of-00002.parquet", row_group_size=row_group)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))
    sources = {file.split("/")[1]: {"weight": 1.0} for file in files}
    sources |= {source: {"weight": weight} for source, weight in (weights or {}).items()}
    facts = manifest.file_facts(folder, files)
    document: dict[str, Any] = {"format": manifest.FORMAT, "files": facts, "sources": sources, "timings": {}}
    document["mixture"] = {"name": folder.name, "version": "1.0.0", "temperature": temperature}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="session")
def mix(once) -> Path:
    """A mix of 36 training and 18 test records from three sources."""
    return once("small", lambda folder: write_mix(folder, {"train": records(12, "train"), "test": records(6, "test")}))


@pytest.fixture
def tiny() -> Recipe:
    """The smoke recipe at its smallest, for six steps."""
    return tiny_recipe("run.steps=6", "run.checkpoint_every=2")


def tiny_recipe(*overrides: str) -> Recipe:
    """The smoke recipe at its smallest, with further overrides."""
    return recipes.load("smoke-cpu", (*TINY, *overrides))


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    """Sums have one order then, and tiny tensors are faster."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def folder_of(once: Any) -> Any:
    """The folder of a family of `families.py` by its name."""
    from .families import write

    return lambda name: once(f"family-{name}", lambda folder: write(name, folder))


@pytest.fixture(scope="session")
def run_of(mix: Path, folder_of: Any, once: Any) -> Any:
    """A run of a family by its name, of LoRA, projector and embeddings."""
    from medmix.train.run import loop

    from .family_runs import PARTS, recipe_of

    def train(name: str) -> Path:
        recipe = recipe_of(folder_of(name), PARTS)
        run: Path = once(f"family-run-{name}", lambda folder: loop.train(mix, recipe, folder, False))
        return run

    return train
