"""Encoders by name: which weights they get, how their tokens become a vector, what is said when they do not fit."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    Dinov2Config,
    Dinov2Model,
    ResNetConfig,
    ResNetModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTConfig,
    ViTImageProcessorPil,
    ViTModel,
)

from medmix.curate.errors import UsageError
from medmix.evaluate.classification.encoders import open_encoder
from medmix.evaluate.classification.pretrained import wrap_timm
from medmix.train.recipe import Recipe
from medmix.train.run import checkpoint, loop

from ...train.family_runs import recipe_of
from . import conftest
from .conftest import tiny

VIT = {"patch_size": 16, "embed_dim": 64, "depth": 2, "num_heads": 1}
RECIPE = tiny("size=64")


def images(size: int = 64) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def vit(**more: int) -> torch.nn.Module:
    torch.manual_seed(1)
    return timm.create_model("vit_base_patch16_224", num_classes=0, img_size=64, **VIT, **more).eval()


def test_a_vector_is_the_class_token_and_the_mean_of_the_patches(tmp_path: Path) -> None:
    net = vit()
    save_file(net.state_dict(), tmp_path / "tower.safetensors")
    encoder = open_encoder(str(tmp_path / "tower.safetensors"), RECIPE)
    with torch.no_grad():
        tokens = net.forward_features(images())
        expected = torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1)
        assert torch.equal(encoder.build(0).eval()(images()), expected)
    assert (encoder.width, encoder.pooling) == (128, "class token + mean of patches")
    assert encoder.metadata == {"timm": "vit_base_patch16_224", "kwargs": {**VIT}}


def test_biomedclips_layout_is_told_by_its_names_and_brings_its_pixels(tmp_path: Path) -> None:
    state = {f"visual.trunk.{key}": value for key, value in vit().state_dict().items()}
    torch.save(state | {"logit_scale": torch.ones(())}, tmp_path / "biomed.bin")
    encoder = open_encoder(str(tmp_path / "biomed.bin"), RECIPE)
    assert encoder.mean == (0.48145466, 0.4578275, 0.40821073)
    assert encoder.digest == open_encoder(_saved(vit(), tmp_path / "same.pt"), RECIPE).digest


def _saved(net: torch.nn.Module, path: Path) -> str:
    torch.save(net.state_dict(), path)
    return str(path)


def test_pmc_clip_is_a_residual_network_of_maximum_and_mean(tmp_path: Path) -> None:
    donor = timm.create_model("resnet50_clip", num_classes=0)
    donor.head = torch.nn.Identity()
    encoder = open_encoder(f"pmc-clip={_saved(donor, tmp_path / 'checkpoint.pt')}", RECIPE)
    assert (encoder.width, encoder.pooling) == (4096, "maximum + mean of the map")
    donor.eval()
    with torch.no_grad():
        grid = donor.forward_features(images())
        expected = torch.cat([grid.amax((2, 3)), grid.mean((2, 3))], 1)
        assert torch.allclose(encoder.build(0).eval()(images()), expected, atol=1e-5)
    still = encoder.build(0).train()
    before = {name: value.clone() for name, value in still.named_buffers() if "running" in name}
    still(images())
    assert all(torch.equal(value, before[name]) for name, value in still.named_buffers() if "running" in name)


def test_any_timm_model_takes_a_file(tmp_path: Path) -> None:
    net = timm.create_model("resnet18", num_classes=0)
    encoder = open_encoder(f"timm:resnet18={_saved(net, tmp_path / 'r.pt')}", RECIPE)
    assert (encoder.width, encoder.mean) == (1024, (0.485, 0.456, 0.406))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("swin_tiny_patch4_window7_224", (7, 7, 768)),
        ("convnext_atto", (320, 2, 2)),
        ("vit_base_patch16_siglip_224", None),
    ],
)
def test_other_kinds_of_timm_are_pooled_by_maximum_and_mean(name: str, shape: tuple[int, ...] | None) -> None:
    if shape is None:
        net = timm.create_model(name, num_classes=0, img_size=64, **VIT)
    else:
        net = timm.create_model(name, num_classes=0)
    side = 224 if "swin" in name else 64
    with torch.no_grad():
        states = net.eval().forward_features(images(side))
        found = wrap_timm(net)(images(side))
    assert shape is None or states.shape[1:] == shape
    axes = (1, 2) if "swin" in name else (1,) if shape is None else (2, 3)
    assert torch.allclose(found, torch.cat([states.amax(axes), states.mean(axes)], 1), atol=1e-6)


def test_images_of_another_size_resample_the_positions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _saved(vit(), tmp_path / "v.pt")
    assert open_encoder(path, tiny("size=32")).build(0)(images(32)).shape == (2, 128)
    assert "17 positions resampled to 5" in capsys.readouterr().err


def test_keys_that_do_not_fit_are_named_ten_of_them(tmp_path: Path) -> None:
    path = _saved(vit(), tmp_path / "v.pt")
    with pytest.raises(UsageError) as caught:
        open_encoder(f"timm:vit_tiny_patch16_224={path}", RECIPE)
    said = str(caught.value)
    assert "v.pt does not fit the tower of the recipe (timm layout): has no blocks.2.norm1.weight, has no " in said
    assert said.count("has no ") == 10
    assert said.endswith(" more")


@pytest.mark.parametrize("kind", ["vit", "clip", "siglip", "dinov2", "resnet"])
def test_transformers_give_their_own_tokens(tmp_path: Path, kind: str) -> None:
    torch.manual_seed(2)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    if kind == "vit":
        model = ViTModel(ViTConfig(**small, image_size=32, patch_size=16), add_pooling_layer=False).eval()
        ViTImageProcessorPil(image_mean=[0.1] * 3, image_std=[0.2] * 3).save_pretrained(tmp_path)
        vision = model
    elif kind == "clip":
        text = {**small, "vocab_size": 99}
        config = CLIPConfig(vision_config={**small, "image_size": 32, "patch_size": 16}, text_config=text)
        model = CLIPModel(config).eval()
        CLIPImageProcessorPil(image_mean=[0.1] * 3, image_std=[0.2] * 3).save_pretrained(tmp_path)
        vision = model.vision_model
    elif kind == "siglip":
        model = SiglipVisionModel(SiglipVisionConfig(**small, image_size=32, patch_size=16)).eval()
        ViTImageProcessorPil(image_mean=[0.1] * 3, image_std=[0.2] * 3).save_pretrained(tmp_path)
        vision = model
    elif kind == "dinov2":
        shape = {key: value for key, value in small.items() if key != "intermediate_size"}
        model = Dinov2Model(Dinov2Config(**shape, image_size=32, patch_size=16)).eval()
        ViTImageProcessorPil(image_mean=[0.1] * 3, image_std=[0.2] * 3).save_pretrained(tmp_path)
        vision = model
    else:
        shape = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
        model = ResNetModel(ResNetConfig(**shape)).eval()
        ViTImageProcessorPil(image_mean=[0.1] * 3, image_std=[0.2] * 3).save_pretrained(tmp_path)
        vision = model
    model.save_pretrained(tmp_path)
    encoder = open_encoder(f"transformers:{tmp_path}", tiny("size=32"))
    assert encoder.mean == (0.1, 0.1, 0.1)
    with torch.no_grad():
        found = encoder.build(0).eval()(images(32))
        states = vision(images(32)).last_hidden_state
        if kind == "resnet":
            expected = torch.cat([states.amax((2, 3)), states.mean((2, 3))], 1)
        elif kind == "siglip":
            expected = torch.cat([states.amax(1), states.mean(1)], 1)
        else:
            states = vision.post_layernorm(states) if kind == "clip" else states
            expected = torch.cat([states[:, 0], states[:, 1:].mean(1)], 1)
    assert torch.allclose(found, expected, atol=1e-6)
    if kind != "resnet":  # positions are resampled
        assert open_encoder(f"transformers:{tmp_path}", tiny("size=64")).build(0)(images(64)).shape == expected.shape


def test_a_folder_of_transformers_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    config = ViTConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=16
    )
    model = ViTModel(config, add_pooling_layer=False)
    state = {
        key: value for key, value in model.state_dict().items() if "layer.1." not in key and "layers.1." not in key
    }
    model.save_pretrained(tmp_path, state_dict=state)
    ViTImageProcessorPil().save_pretrained(tmp_path)
    with pytest.raises(UsageError, match=r"does not fit its own config: has no .*1\..* and \d+ more"):
        open_encoder(str(tmp_path), tiny("size=32"))


def test_scratch_draws_other_weights_for_each_seed() -> None:
    encoder = open_encoder("scratch", tiny())
    first, again, other = (encoder.build(seed)(images(32)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert encoder.digest is None


def test_a_checkpoint_of_a_transformers_model_is_refused(mix: Path, folder_of: Any, tmp_path: Path) -> None:
    recipe = recipe_of(folder_of("llava"), "run.steps=1")
    loop.train(mix, recipe, tmp_path / "run", progress_bar=False)
    with pytest.raises(UsageError, match=r"step-00000001 has a owner/family, which has no tower of timm; give another"):
        open_encoder(str(tmp_path / "run"), RECIPE)


def test_a_trained_checkpoint_gives_its_tower(mix: Path, tiny: Recipe, tmp_path: Path) -> None:
    loop.train(mix, tiny, tmp_path / "run", progress_bar=False)
    encoder = open_encoder(str(tmp_path / "run"), RECIPE)
    assert encoder.kind == "checkpoint"
    assert encoder.mean == tiny.vision.mean
    assert encoder.metadata["step"] == 6
    assert encoder.metadata["mix"]["path"] == str(mix)
    assert encoder.width == 64
    assert encoder.metadata["class_token_trained"] is False
    same = open_encoder(str(tmp_path / "run"), conftest.tiny("size=32"))  # the size of its pretraining
    with torch.no_grad():
        patches = checkpoint.load(tmp_path / "run").model.tower(images(32))
        assert torch.equal(same.build(0).eval()(images(32))[:, 32:], patches.mean(1))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("biomedclib", r"encoder 'biomedclib' is neither a path nor a known name \(did you mean 'biomedclip'\?\)"),
        ("biomedclip", r"weights/biomedclip/open_clip_pytorch_model.bin is missing; run: hf download microsoft/"),
        ("pubmedclip", r"run: hf download flaviagiammarino/pubmed-clip-vit-base-patch32 --local-dir"),
        ("pmc-clip=no.pt", r"no.pt is missing; run: hf download axiong/pmc_oa checkpoint.pt --repo-type dataset"),
        ("timm:resnet18", r"timm:resnet18 is not on this machine; type: hf download timm/resnet18\.\S+ model"),
        ("timm:resnet1", r"timm does not know resnet1"),
        (
            "transformers:a/b",
            r"transformers:a/b is not on this machine; type: hf download a/b, or give transformers:PA",
        ),
    ],
)
def test_what_is_not_here_says_how_to_get_it(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        open_encoder(name, RECIPE)


def test_a_file_that_tells_nothing_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "a.pt")
    with pytest.raises(UsageError, match=r"cannot infer the tower from its weight names; give timm:NAME="):
        open_encoder(str(tmp_path / "a.pt"), RECIPE)
