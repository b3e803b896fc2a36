"""Pixels in uint8, positions of image tokens, and who reads which images."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedTokenizerBase

from medmix.train.data import batches, stream
from medmix.train.data.batches import StepBuilder, prefetch_steps
from medmix.train.data.collate import Sample, collate, collate_packed, normalise, pixels, raw_pixels, to_square
from medmix.train.data.render import IMAGE_TOKEN_ID, Renderer
from medmix.train.data.tokenizer import train_bpe
from medmix.train.model.vision_language import VisionLanguageModel
from medmix.train.recipe import Language, Vision

from ..conftest import records, tiny_recipe, write_mix
from .test_packing import ROWS

CLIP = ("vision.mean=[0.48145466, 0.4578275, 0.40821073]", "vision.std=[0.26862954, 0.26130258, 0.27577711]")


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_bpe(["What colour is it?", "red green blue"], Language(vocab_size=300))


@pytest.fixture(scope="module")
def model(tokenizer: PreTrainedTokenizerBase) -> VisionLanguageModel:
    torch.manual_seed(0)
    return VisionLanguageModel(tiny_recipe(*CLIP), tokenizer).eval()


def samples(model: VisionLanguageModel, tokenizer: PreTrainedTokenizerBase, decode: Any) -> list[Sample]:
    recipe = tiny_recipe(*CLIP)
    renderer = Renderer(tokenizer, recipe.text, model.image_tokens, recipe.vision.max_images)
    return [Sample(row["id"], *renderer.encode(row), decode(row, recipe.vision), row["source"]) for row in ROWS]


def test_every_value_of_a_pixel_is_normalised_as_by_numpy() -> None:
    vision = tiny_recipe(*CLIP).vision
    image = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16).expand(3, 16, 16)
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (vision.mean, vision.std))
    expected = (image.numpy().astype(np.float32) / 255 - mean) / std
    assert np.array_equal(normalise(image, torch.tensor(vision.mean), torch.tensor(vision.std)).numpy(), expected)


def test_raw_pixels_travel_as_bytes() -> None:
    vision: Vision = tiny_recipe(*CLIP).vision
    square = to_square(Image.new("RGB", (40, 20), (255, 0, 127)), vision)
    assert (square.dtype, square.shape) == (torch.uint8, (3, 32, 32))
    assert square[:, 16, 16].tolist() == [255, 0, 127]
    assert square[:, 0, 0].tolist() == [122, 116, 104]  # the mean colour


@pytest.mark.parametrize("packed", [True, False])
def test_raw_pixels_give_the_same_loss_bit_for_bit(
    model: VisionLanguageModel, tokenizer: PreTrainedTokenizerBase, packed: bool
) -> None:
    def loss(decode: Any) -> torch.Tensor:
        some = samples(model, tokenizer, decode)
        batch = collate_packed(some, 0, 32) if packed else collate(some, 0, 32, side="left")
        assert batch.pixels.dtype == (torch.uint8 if decode is raw_pixels else torch.float32)
        result: torch.Tensor = model(batch)
        return result

    assert torch.equal(loss(raw_pixels), loss(pixels))


class Operations(TorchDispatchMode):
    """Notes the operations of torch."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("packed", [True, False])
def test_images_are_placed_without_waiting_for_the_device(
    model: VisionLanguageModel, tokenizer: PreTrainedTokenizerBase, packed: bool
) -> None:
    some = samples(model, tokenizer, raw_pixels)
    batch = collate_packed(some, 0, 32, multiple=64) if packed else collate(some, 0, 32, side="left")
    with Operations() as operations:
        embedded = model.embed(batch)
    assert "index_copy" in operations.names
    assert not operations.names & {"masked_scatter", "nonzero", "_local_scalar_dense", "masked_select"}
    is_image = batch.input_ids == IMAGE_TOKEN_ID
    text = model.base.get_input_embeddings()(batch.input_ids.clamp(min=0))
    images = model.projector(model.tower(normalise(batch.pixels, model.mean, model.std)))
    assert torch.equal(embedded, text.masked_scatter(is_image.unsqueeze(-1), images))


def test_normalisation_is_in_no_checkpoint(model: VisionLanguageModel) -> None:
    assert model.mean.tolist() == pytest.approx([0.48145466, 0.4578275, 0.40821073])
    assert not {"mean", "std"} & model.state_dict().keys()


def test_a_rank_reads_the_images_of_its_own_records_alone(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one record per row group, the bytes of all ranks together are those of the images, once."""
    mix = write_mix(tmp_path, {"train": records(12, "train")}, row_group=1)
    recipe = tiny_recipe("run.steps=null", "run.epochs=1", "run.global_batch_size=9")
    renderer = Renderer(tokenizer, recipe.text, 4, 2)
    read, found = stream._read, list[tuple[tuple[str, ...], pa.Table]]()

    def noted(shard: stream.Shard, row_group: int, columns: Any) -> pa.Table:
        table = read(shard, row_group, columns)
        found.append((tuple(columns), table))
        return table

    monkeypatch.setattr(stream, "_read", noted)
    image_bytes, rows = [], []
    for rank in range(3):
        found.clear()
        builder = StepBuilder(stream.open_split(mix, "train"), recipe, renderer, rank=rank, world_size=3)
        own = {name for step in builder.worker_steps() for batch in step.batches for name in batch.ids}
        texts, images = ([table for columns, table in found if columns == kind] for kind in (
            batches.TEXT_COLUMNS, batches.IMAGE_COLUMNS))  # fmt: skip
        assert len(texts) + len(images) == len(found)
        assert sum(map(len, texts)) == 36
        rows.append(sum(map(len, images)))
        assert rows[-1] == len(own)
        image_bytes.append(
            sum(len(image["bytes"]) for table in images for row in table["images"].to_pylist() for image in row)
        )
    whole = sum(len(image["bytes"]) for row in records(12, "train") for image in row["images"])
    assert sum(rows) == 36 and sum(image_bytes) == whole
    assert max(image_bytes) < whole / 2


@pytest.mark.parametrize(("free", "steps", "warned"), [(10**9, 2, False), (400_000, 1, False), (100_000, 1, True)])
def test_workers_hold_no_more_than_shared_memory_has(
    free: int, steps: int, warned: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    tokenizer: PreTrainedTokenizerBase, mix: Path, tmp_path: Path,
) -> None:  # fmt: skip
    """8 records of 2 images of 3 x 32 x 32 bytes for 6 workers of 1 of 1 ranks: 295 kB a step."""
    monkeypatch.setattr(batches, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(batches.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    recipe = tiny_recipe("run.workers=6")
    builder = StepBuilder(stream.open_split(mix, "train"), recipe, Renderer(tokenizer, recipe.text, 4, 2))
    assert prefetch_steps(builder) == steps
    said = capsys.readouterr().err
    assert ("the pixels of 6 workers may take 0 MB; a worker that finds it full dies of a bus error" in said) == warned
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    if not warned:
        assert prefetch_steps(builder) == (2 if steps == 2 else 1)
        assert ("of 24 workers" in capsys.readouterr().err) == (free == 400_000)


def test_sixteen_sources_are_shuffled_over_four_row_groups_each() -> None:
    def split(sources: int) -> stream.Split:
        shards = tuple(stream.Shard(Path(), f"{n:02}", f"source-{n:02}", (5,) * 8) for n in range(sources))
        return stream.Split(Path(), "train", shards, {})

    seen: dict[int, list[int]] = {}
    for place in stream.order(split(16), 0, 0):
        seen.setdefault(place.shard, []).append(place.row_group)
    assert all(len(set(groups[:20])) == 4 and len(set(groups[:5])) > 1 for groups in seen.values())
    assert [stream._window_size(split(n)) for n in (1, 3, 4, 5, 16, 21, 64, 100)] == [16, 5, 4, 4, 4, 3, 1, 1]
