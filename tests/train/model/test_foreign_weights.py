"""Position embeddings of other grids and prefix tokens, and what only the config beside the weights says."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from torch import Tensor
from transformers import CLIPConfig

from medmix.curate.errors import UsageError
from medmix.evaluate.classification.pretrained import infer_tower
from medmix.train.model.towers import VisionTower
from medmix.train.model.weights import load_tower
from medmix.train.model.weights_config import matching_model
from medmix.train.recipe import Weights

from ..conftest import tiny_recipe
from .test_weights import CLIP, openai_vit, pixels

QUICK = "vit_base_patch32_clip_quickgelu_224"


def tower(size: int = 32, **more: Any) -> VisionTower:
    torch.manual_seed(1)
    kwargs = {"patch_size": 16, "embed_dim": 32, "depth": 2, "num_heads": 2, **more}
    return VisionTower(tiny_recipe(f"vision.kwargs={json.dumps(kwargs)}", f"vision.size={size}").vision).eval()


def donor(size: int = 32, **more: Any) -> dict[str, Tensor]:
    state = tower(size, **more).timm.state_dict()
    return {key: torch.randn(value.shape) * 0.3 for key, value in state.items()}


def load(model: VisionTower, state: dict[str, Tensor], folder: Path) -> VisionTower:
    folder.mkdir(exist_ok=True)
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "model.safetensors")
    load_tower(model.timm, Weights("a/b", str(folder)))
    return model


def clip_tower(name: str) -> VisionTower:
    return VisionTower(tiny_recipe(f"vision.timm={name}", *CLIP[1:]).vision).eval()


@pytest.mark.parametrize("registers", [0, 4])
@pytest.mark.parametrize("size", [64, 96])
def test_prefix_positions_may_be_kept_or_added_to_their_tokens(tmp_path: Path, registers: int, size: int) -> None:
    """`no_embed_class` towers have no positions for class and register tokens; the sums are the same either way."""
    state = donor(64, reg_tokens=registers)
    own = load(tower(size, reg_tokens=registers), state, tmp_path)
    other = load(tower(size, reg_tokens=registers, no_embed_class=True), state, tmp_path)
    back = load(tower(size, reg_tokens=registers), other.timm.state_dict(), tmp_path / "back")
    with torch.no_grad():
        expected = own(pixels(size))
        assert torch.allclose(other(pixels(size)), expected, atol=1e-5)
        assert torch.allclose(back(pixels(size)), expected, atol=1e-5)


def test_the_class_tokens_position_alone_precedes_the_patches(tmp_path: Path) -> None:
    """DINOv2 with registers: these have no position."""
    state = donor(64, reg_tokens=4)
    whole = {**state, "pos_embed": state["pos_embed"].clone()}
    whole["pos_embed"][:, 1:5] = 0
    fewer = {**state, "pos_embed": torch.cat([state["pos_embed"][:, :1], state["pos_embed"][:, 5:]], 1)}
    same = load(tower(96, reg_tokens=4), whole, tmp_path), load(tower(96, reg_tokens=4), fewer, tmp_path)
    assert torch.equal(same[0].timm.pos_embed, same[1].timm.pos_embed)


@pytest.mark.parametrize("theirs", [True, False])
def test_a_tower_without_a_class_token_takes_the_patches_positions(tmp_path: Path, theirs: bool) -> None:
    state = donor(64, class_token=theirs, global_pool="avg")
    model = load(tower(32, class_token=False, global_pool="avg"), state, tmp_path)
    patches = state["pos_embed"][:, int(theirs) :]
    assert torch.equal(model.timm.pos_embed, resample_abs_pos_embed(patches, [2, 2], [4, 4], num_prefix_tokens=0))


def test_a_grid_that_is_not_square_is_told_by_the_config(tmp_path: Path) -> None:
    state = donor(32)
    state["pos_embed"] = torch.randn(1, 1 + 4 * 3, 32)
    with pytest.raises(
        UsageError, match=r"timm layout\): pos_embed has 13 positions for 1 class and 0 register .* no squ"
    ):
        load(tower(32), state, tmp_path)
    config = {"architecture": "vit_base_patch16_224", "pretrained_cfg": {"input_size": [3, 64, 48]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = load(tower(32), state, tmp_path)
    expected = resample_abs_pos_embed(state["pos_embed"], [2, 2], [4, 3], num_prefix_tokens=1)
    assert torch.equal(model.timm.pos_embed, expected)


def test_as_many_positions_of_another_grid_are_resampled(tmp_path: Path) -> None:
    state = donor(64)
    config = {"architecture": "vit_base_patch16_224", "pretrained_cfg": {"input_size": [3, 128, 32]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = load(tower(64), state, tmp_path)
    expected = resample_abs_pos_embed(state["pos_embed"], [4, 4], [8, 2], num_prefix_tokens=1)
    assert torch.equal(model.timm.pos_embed, expected)
    assert not torch.equal(model.timm.pos_embed, state["pos_embed"])


TRANSFORMERS = CLIPConfig().to_dict()
OPEN_CLIP = {"model_cfg": {"embed_dim": 16, "vision_cfg": {"image_size": 64, "patch_size": 32}, "quick_gelu": True}}
TIMM = {"architecture": "vit_base_patch32_clip_224", "pretrained_cfg": {"tag": "openai"}}
CONFIGS: list[tuple[str, dict[str, Any]]] = [
    ("config.json", TRANSFORMERS),
    ("config.json", {"model_type": "clip", "vision_config": {"image_size": 64, "patch_size": 32}}),  # defaults left out
    ("config.json", {"model_type": "clip_vision_model", "hidden_act": "quick_gelu", "image_size": 64}),
    ("open_clip_config.json", OPEN_CLIP),
    ("config.json", {"architecture": QUICK}),
    ("config.json", TIMM),  # timm notes of these weights that they are natively QuickGELU
    ("config.json", {"architecture": "vit_base_patch32_224", "model_args": {"act_layer": "quick_gelu"}}),
]


@pytest.mark.parametrize(("name", "config"), CONFIGS)
def test_quickgelu_weights_are_refused_by_a_gelu_tower(
    tmp_path: Path, name: str, config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(json.dumps(config))
    with pytest.raises(UsageError) as caught:
        load(clip_tower("vit_base_patch32_clip_224"), openai_vit(), tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'model.safetensors'} was trained with the activation quick_gelu ({name}), the tower "
        f"vit_base_patch32_clip_224 has gelu; use the timm model {QUICK}"
    )
    load(clip_tower(QUICK), openai_vit(), tmp_path)
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("open_clip_config.json", {"model_cfg": {"vision_cfg": {"image_size": 64}}}),
        (
            "open_clip_config.json",
            {"model_cfg": {"vision_cfg": {"timm_model_name": "vit_base_patch16_224"}}},
        ),  # BiomedCLIP
        ("config.json", {"model_type": "clip_vision_model", "hidden_act": "gelu", "image_size": 64}),
    ],
)
def test_gelu_weights_are_refused_by_a_quickgelu_tower(tmp_path: Path, name: str, config: dict[str, Any]) -> None:
    (tmp_path / name).write_text(json.dumps(config))
    with pytest.raises(
        UsageError, match=r"activation gelu .* has quick_gelu; use the timm model vit_base_patch32_clip_224"
    ):
        load(clip_tower(QUICK), openai_vit(), tmp_path)


def test_an_unknown_activation_and_another_eps_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load(clip_tower(QUICK), openai_vit(), tmp_path)
    (warning,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert warning.endswith(
        f"with another activation than the quick_gelu of {QUICK}: its keys do not show it, and no config.json or "
        "open_clip_config.json lies beside it"
    )
    config = {"model_type": "clip_vision_model", "layer_norm_eps": 1e-12, "image_size": 64}
    (tmp_path / "config.json").write_text(json.dumps(config))
    load(clip_tower(QUICK), openai_vit(), tmp_path)
    (warning,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert warning.endswith(f"a layer norm eps of 1e-12 (config.json), {QUICK} has 1e-05")


def test_a_tower_without_clips_first_norm_is_refused(tmp_path: Path) -> None:
    kwargs = "vision.kwargs={patch_size: 32, embed_dim: 32, depth: 2, num_heads: 2, act_layer: quick_gelu}"
    plain = VisionTower(tiny_recipe(kwargs, "vision.size=64").vision)
    with pytest.raises(UsageError, match="has norm_pre, a layer of CLIP that the tower lacks"):
        load(plain, openai_vit(), tmp_path)


def test_a_broken_config_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UsageError, match=r"config\.json is no JSON file .*remove or replace it"):
        load(tower(), donor(), tmp_path)


def test_every_clip_model_of_timm_has_a_name_for_the_other_activation() -> None:
    assert matching_model("vit_base_patch16_224", "quick_gelu") == "the timm model vit_base_patch16_clip_quickgelu_224"
    assert matching_model("vit_large_patch14_clip_336", "quick_gelu").endswith("vit_large_patch14_clip_quickgelu_336")
    assert matching_model("vit_base_patch16_clip_224", "gelu_tanh").startswith("the argument act_layer=gelu_tanh")


def test_an_inferred_tower_has_the_activation_of_its_config(tmp_path: Path) -> None:
    state = {key: torch.randn(64, *value.shape[1:]) if "conv1" in key else value for key, value in openai_vit().items()}
    torch.save(state, tmp_path / "open_clip_pytorch_model.bin")
    assert infer_tower(tmp_path / "open_clip_pytorch_model.bin")[0] == QUICK
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"vision_cfg": {"image_size": 64}}}))
    assert infer_tower(tmp_path / "open_clip_pytorch_model.bin")[0] == "vit_base_patch32_clip_224"
