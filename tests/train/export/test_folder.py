import io
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, LlavaForConditionalGeneration

from medmix.curate.errors import UsageError
from medmix.train.data import stream
from medmix.train.data.collate import Sample, collate, pixels
from medmix.train.data.render import Renderer
from medmix.train.export.folder import export
from medmix.train.run import checkpoint, loop

from ..conftest import COLOURS, png, record, tiny_recipe

TOWERS = {"patches": False, "class token": True}
"""By name whether the tower has a class token."""


@pytest.fixture(scope="module")
def runs(mix: Path, once) -> dict[str, Path]:
    """A run by tower, and beside it the model that it exports."""

    def train(folder: Path) -> None:
        for name, token in TOWERS.items():
            recipe = tiny_recipe("run.steps=30", "optim.lr=0.01", f"vision.cls_token={token}")
            loop.train(mix, recipe, folder / name / "learned", False)
            assert export(folder / name / "learned", folder / name / "model") <= 1e-4

    folder = once("exported", train)
    return {name: folder / name / "learned" for name in TOWERS}


@pytest.fixture(scope="module", params=TOWERS)
def run(runs: dict[str, Path], request: pytest.FixtureRequest) -> Path:
    return runs[request.param]


@pytest.fixture(scope="module")
def model(run: Path) -> Path:
    return run.parent / "model"


def test_image_and_question_give_our_scores(run: Path, model: Path, tmp_path: Path) -> None:
    """From a file with a picture that is no square to the scores, by transformers alone and by ours."""
    row = record("s/1", "vqa", "What colour is it?", "red", png(COLOURS["red"], (57, 30)))
    processor, theirs = AutoProcessor.from_pretrained(model), AutoModelForImageTextToText.from_pretrained(model)
    assert type(theirs) is LlavaForConditionalGeneration
    (tmp_path / "red.png").write_bytes(row["images"][0]["bytes"])
    content = [{"type": "image", "image": Image.open(tmp_path / "red.png")}, {"type": "text", "text": row["question"]}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=True, return_dict=True, return_tensors="pt"
    )
    loaded = checkpoint.load(run)
    renderer = Renderer(loaded.tokenizer, loaded.recipe.text, loaded.model.image_tokens, 4)
    ids = renderer.prompt_ids(row)
    images = pixels(row, loaded.recipe.vision)
    assert torch.allclose(inputs["pixel_values"][0], images[0], atol=1e-6)
    assert inputs["input_ids"][0].tolist() == [processor.image_token_id if i == -1 else i for i in ids]
    batch = collate([Sample("s/1", ids, ids, images)], loaded.tokenizer.pad_token_id, loaded.recipe.vision.size)
    with torch.no_grad():
        ours, others = loaded.model.logits(batch), theirs(**inputs).logits
    assert (ours - others[..., : ours.shape[-1]]).abs().max() <= 1e-4


def test_it_generates_what_we_answer(mix: Path, run: Path, model: Path) -> None:
    processor, theirs = AutoProcessor.from_pretrained(model), AutoModelForImageTextToText.from_pretrained(model)
    loaded = checkpoint.load(run)
    row = next(iter(stream.rows(stream.open_split(mix, "test"), ("id", "task", "images", "messages", "question"))))
    renderer = Renderer(loaded.tokenizer, loaded.recipe.text, loaded.model.image_tokens, 4)
    ids = renderer.prompt_ids(row)
    sample = Sample(row["id"], ids, ids, pixels(row, loaded.recipe.vision))
    batch = collate([sample], loaded.tokenizer.pad_token_id, loaded.recipe.vision.size, side="left")
    answer = loaded.tokenizer.batch_decode(loaded.model.generate(batch, 8), skip_special_tokens=True)[0]
    inputs = processor(
        text="<s><image>" + loaded.recipe.text.template.replace("{prompt}", row["question"]),
        images=Image.open(io.BytesIO(row["images"][0]["bytes"])),
        return_tensors="pt",
    )
    made = theirs.generate(**inputs, max_new_tokens=8)[0, inputs["input_ids"].shape[1] :]
    assert processor.decode(made, skip_special_tokens=True) == answer != ""


def test_they_load_where_there_is_no_medmix(runs: dict[str, Path], tmp_path: Path) -> None:
    models = [str(run.parent / "model") for run in runs.values()]
    code = (
        "import sys; sys.modules['medmix'] = None\n"
        "from transformers import AutoModelForImageTextToText, AutoProcessor\n"
        f"for model in {models}:\n"
        "    AutoProcessor.from_pretrained(model)\n"
        "    print(type(AutoModelForImageTextToText.from_pretrained(model)).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == ["LlavaForConditionalGeneration"] * len(TOWERS), done.stderr


def test_the_card_describes_the_run(run: Path, model: Path) -> None:
    card = (model / "README.md").read_text()
    state = checkpoint.load(run).state
    assert "| steps | 30 of 8 records, 240 records in all |" in card
    assert f"`{state.mix_digest}`" in card
    assert "pipeline_tag: image-text-to-text" in card
    assert "LoRA r=8, alpha=16, merged into the weights" in card


def test_a_folder_in_use_and_a_tower_without_counterpart(mix: Path, run: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="model is not empty; give another --out"):
        export(run, model)
    kwargs = "vision.kwargs={patch_size: 16, embed_dim: 32, depth: 1, num_heads: 2, init_values: 0.1}"
    loop.train(mix, tiny_recipe("run.steps=1", kwargs), tmp_path / "run", False)
    with pytest.raises(UsageError, match="no counterpart of vit_base_patch16_224"):
        export(tmp_path / "run", tmp_path / "model")
