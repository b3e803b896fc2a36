"""TrainerState dicts in the layouts of the published towers, under their documented names, at small shapes."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPConfig, CLIPModel, ViTConfig, ViTModel

from medmix.curate.errors import UsageError
from medmix.train.model.towers import VisionTower
from medmix.train.model.weights import load_tower
from medmix.train.recipe import Weights

from ..conftest import tiny_recipe

WIDTH = 32
PLAIN = ("vision.kwargs={patch_size: 16, embed_dim: 32, depth: 2, num_heads: 2}", "vision.size=32")
CLIP = ("vision.timm=vit_base_patch32_clip_quickgelu_224", "vision.size=64", PLAIN[0].replace("16", "32"))
RESNET = ("vision.timm=resnet50_clip", "vision.size=64", "vision.kwargs={}")


def tower(*overrides: str) -> VisionTower:
    torch.manual_seed(1)
    return VisionTower(tiny_recipe(*overrides).vision).eval()


def load(model: VisionTower, path: Path) -> None:
    load_tower(model.timm, Weights("a/b", str(path)))


def pixels(size: int) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def openai_vit(depth: int = 2, positions: int = 5) -> dict[str, Tensor]:
    """The visual part of OpenAI's CLIP with a transformer, ViT-B/32 at small shapes."""
    block = {
        "attn.in_proj_weight": (3 * WIDTH, WIDTH), "attn.in_proj_bias": (3 * WIDTH,),
        "attn.out_proj.weight": (WIDTH, WIDTH), "attn.out_proj.bias": (WIDTH,),
        "ln_1.weight": (WIDTH,), "ln_1.bias": (WIDTH,), "ln_2.weight": (WIDTH,), "ln_2.bias": (WIDTH,),
        "mlp.c_fc.weight": (4 * WIDTH, WIDTH), "mlp.c_fc.bias": (4 * WIDTH,),
        "mlp.c_proj.weight": (WIDTH, 4 * WIDTH), "mlp.c_proj.bias": (WIDTH,),
    }  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {
        "class_embedding": (WIDTH,), "positional_embedding": (positions, WIDTH), "proj": (WIDTH, 16),
        "conv1.weight": (WIDTH, 3, 32, 32), "ln_pre.weight": (WIDTH,), "ln_pre.bias": (WIDTH,),
        "ln_post.weight": (WIDTH,), "ln_post.bias": (WIDTH,),
        **{f"transformer.resblocks.{n}.{key}": shape for n in range(depth) for key, shape in block.items()},
    }  # fmt: skip
    return {f"visual.{key}": torch.randn(shape) for key, shape in shapes.items()}


def openai_resnet() -> dict[str, Tensor]:
    """The visual part of OpenAI's CLIP RN50 (ModifiedResNet), from timm's names of the same network."""
    found = {}
    for name, tensor in timm.create_model("resnet50_clip", num_classes=1024).state_dict().items():
        key = name
        for stage in range(4):
            key = key.replace(f"stages.{stage}.", f"layer{stage + 1}.")
        for n, kernel in ((1, "1_1x1"), (2, "2_kxk"), (3, "3_1x1")):
            key = key.replace(f".conv{kernel}.conv.", f".conv{n}.").replace(f".conv{kernel}.bn.", f".bn{n}.")
            key = key.replace(f"stem.conv{n}.conv.", f"conv{n}.").replace(f"stem.conv{n}.bn.", f"bn{n}.")
        key = key.replace("shortcut.conv.conv.", "downsample.0.").replace("shortcut.conv.bn.", "downsample.1.")
        key = key.replace("head.pos_embed", "attnpool.positional_embedding").replace("head.proj.", "attnpool.c_proj.")
        for part in "qkv":
            key = key.replace(f"head.{part}.", f"attnpool.{part}_proj.")
        found[f"visual.{key}"] = torch.rand_like(tensor) if tensor.is_floating_point() else tensor
    assert {"visual.conv1.weight", "visual.layer1.0.downsample.0.weight", "visual.layer4.2.bn3.running_var"} <= set(
        found
    )
    return found


def test_biomedclips_layout_uses_every_key_of_its_trunk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    donor, model = tower(*PLAIN).timm.state_dict(), tower(*PLAIN)
    state = {f"visual.trunk.{key}": torch.randn_like(value) for key, value in donor.items()}
    text = {f"text.transformer.encoder.layer.{n}.weight": torch.ones(1) for n in range(3)}
    rest = {"visual.head.proj.weight": torch.ones(16, WIDTH), "logit_scale": torch.ones(()), **text}
    torch.save(state | rest, tmp_path / "open_clip_pytorch_model.bin")
    load(model, tmp_path / "open_clip_pytorch_model.bin")
    assert all(torch.equal(value, state[f"visual.trunk.{key}"]) for key, value in model.timm.state_dict().items())
    said = capsys.readouterr().err
    assert f"{len(donor)} of {len(donor) + 5} keys used (open_clip layout); " in said
    assert "; ignored: logit_scale, visual.head.proj.weight, text.* (3)" in said


def test_transformers_clip_gives_what_transformers_gives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """PubMedCLIP's layout; the published file is a whole CLIPModel."""
    vision = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2,
              "image_size": 64, "patch_size": 32, "hidden_act": "quick_gelu"}  # fmt: skip
    text = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 99,
    }
    theirs = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=16)).eval()
    state = {
        key: torch.randn_like(value) * 0.1 if value.is_floating_point() else value
        for key, value in theirs.state_dict().items()
    }
    theirs.load_state_dict(state)
    theirs.save_pretrained(tmp_path)
    model = tower(*CLIP)
    load(model, tmp_path)
    with torch.no_grad():
        expected = theirs.vision_model(pixels(64))
        features = model.timm.norm(theirs.vision_model(pixels(64)).last_hidden_state)
        assert torch.allclose(model(pixels(64)), features[:, 1:], atol=1e-5)
        assert torch.allclose(model.timm.forward_features(pixels(64))[:, 0], expected.pooler_output, atol=1e-5)
    assert "transformers CLIP layout); ignored: " in capsys.readouterr().err


@pytest.mark.parametrize("wrapping", ["", "module."])
def test_openai_clip_and_pmc_clips_wrapping(tmp_path: Path, wrapping: str) -> None:
    state = openai_vit() | {"logit_scale": torch.ones(())}
    wrapped = {f"{wrapping}{key}": value for key, value in state.items()}
    torch.save({"epoch": 3, "state_dict": wrapped}, tmp_path / "clip.pt")
    model = tower(*CLIP)
    load(model, tmp_path / "clip.pt")
    assert torch.equal(
        model.timm.blocks[1].attn.qkv.weight, state["visual.transformer.resblocks.1.attn.in_proj_weight"]
    )
    assert torch.equal(model.timm.pos_embed[0], state["visual.positional_embedding"])
    assert torch.equal(model.timm.norm_pre.bias, state["visual.ln_pre.bias"])


def test_pmc_clips_residual_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = openai_resnet()
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "checkpoint.pt")
    model = tower(*RESNET)
    load(model, tmp_path / "checkpoint.pt")
    assert model(pixels(64)).shape == (2, model.num_tokens, model.width) == (2, 4, 2048)
    assert torch.equal(model.timm.stages[3][2].conv2_kxk.conv.weight, state["visual.layer4.2.conv2.weight"])
    assert "ignored: visual.* (9)" in capsys.readouterr().err  # the attention pool
    assert not any(part.training for name, part in model.train().named_modules() if "bn" in name)


def test_transformers_vit_gives_what_transformers_gives(tmp_path: Path) -> None:
    shape = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2}
    theirs = ViTModel(ViTConfig(**shape, image_size=32, patch_size=16, layer_norm_eps=1e-6)).eval()
    theirs.save_pretrained(tmp_path)
    model = tower(*PLAIN, "vision.cls_token=true")
    load(model, tmp_path)
    with torch.no_grad():
        assert torch.allclose(model(pixels(32)), theirs(pixels(32)).last_hidden_state, atol=1e-5)


def test_positions_of_another_image_size_are_resampled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file(tower(*PLAIN[:1], "vision.size=64").timm.state_dict(), tmp_path / "big.safetensors")
    load(tower(*PLAIN), tmp_path / "big.safetensors")
    assert "(timm layout, 17 positions resampled to 5); ignored: none" in capsys.readouterr().err


def test_a_tower_of_another_width_is_refused(tmp_path: Path) -> None:
    save_file(tower(PLAIN[0].replace("32", "48"), "vision.size=32").timm.state_dict(), tmp_path / "wide.safetensors")
    with pytest.raises(
        UsageError, match=r"timm layout\): cls_token is \[1, 1, 48\], not \[1, 1, 32\], .* and \d+ more"
    ):
        load(tower(*PLAIN), tmp_path / "wide.safetensors")
    with pytest.raises(UsageError, match=r"has no weights; it should have one of model\.safetensors, pytorch_model"):
        (tmp_path / "empty").mkdir()
        load(tower(*PLAIN), tmp_path / "empty")
