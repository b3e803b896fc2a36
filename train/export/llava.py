"""Exports a checkpoint as a transformers folder: `LlavaForConditionalGeneration`, its processor and a model card.

LoRA is merged into the weights. The tower becomes transformers' ViT, configured to apply its last norm
(`tie_last_hidden_states`). Our linear projector becomes LLaVA's two layers: itself and the identity.
"""

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, cast

import peft
import torch
from timm.layers import PatchEmbed
from timm.models import VisionTransformer
from torch import Tensor, nn
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerBase,
    ViTConfig,
    ViTModel,
)

from medmix.curate.errors import UsageError, WorkError

from ..data.collate import Sample, collate, image_processor
from ..data.render import IGNORE_INDEX, IMAGE_TOKEN_ID
from ..rank_zero import say
from ..recipe import Recipe, Vision
from ..run import checkpoint as checkpoints
from ..run import model_card

IMAGE_TOKEN = "<image>"  # noqa: S105 - no password
"""The image token of the exported tokenizer."""

LOGIT_TOLERANCE = 1e-4
"""Largest allowed difference between logits of the exported model and ours, in fp32."""

VIT_NAMES = (
    (r"^cls_token$", "embeddings.cls_token"),
    (r"^pos_embed$", "embeddings.position_embeddings"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^norm\.", "layernorm."),
    (r"^blocks\.", "encoder.layer."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
)
"""Regular expressions over key names of a timm ViT, and what transformers calls them."""


def export(checkpoint: Path, out: Path) -> float:
    """Write a checkpoint as a transformers folder, load it again and compare.

    Args:
        checkpoint: a checkpoint, or a run, whose latest one is taken.
        out: folder to write; must be missing or empty.

    Returns:
        The largest difference between our logits of the next token and those of the exported model.

    Raises:
        UsageError: there is no checkpoint, `out` is not empty, or transformers has no tower of that kind.
        WorkError: the folder cannot be written, or its logits differ from the checkpoint's.
    """
    loaded = checkpoints.load(checkpoint)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is not empty; give another --out, or remove it")
    _validate_tower(loaded.model.tower.timm, loaded.recipe.vision)
    sample = _test_sample(loaded)
    with torch.inference_mode():
        ours = loaded.model.float().logits(collate([sample], loaded.tokenizer.pad_token_id, loaded.recipe.vision.size))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
            folder = Path(scratch, "model")
            patch = loaded.model.tower.timm.patch_embed.patch_size[0]
            processor = _processor(loaded.tokenizer, loaded.recipe, patch)
            to_llava(loaded, processor.image_token_id).save_pretrained(folder)
            processor.save_pretrained(folder)
            max_logit_diff = _max_logit_diff(folder, sample, ours)
            log = loaded.path.parent / "train_log.jsonl"
            model_card.write(folder, out.name, loaded.recipe, loaded.state, log, max_logit_diff)
            if out.exists():
                out.rmdir()
            shutil.move(folder, out)
    except OSError as error:
        raise WorkError(f"{out} cannot be written ({error}); make room and type the same command again") from error
    return max_logit_diff


def to_llava(loaded: checkpoints.Checkpoint, image_token: int) -> LlavaForConditionalGeneration:
    """Convert a loaded checkpoint to transformers' model, in fp32, and merge its adapters."""
    ours, vision = loaded.model.float(), loaded.recipe.vision
    base = ours.language.merge_and_unload() if isinstance(ours.language, peft.PeftModel) else ours.base
    base.set_attn_implementation("sdpa")
    if image_token >= base.get_input_embeddings().num_embeddings:
        base.resize_token_embeddings(image_token + 1, mean_resizing=False)
        with torch.no_grad():
            base.get_input_embeddings().weight[image_token] = 0
            base.get_output_embeddings().weight[image_token] = 0
    tower = _to_transformers_vit(ours.tower.timm, vision)
    config = LlavaConfig(
        vision_config=tower.config,
        text_config=base.config,
        image_token_index=image_token,
        image_seq_length=ours.image_tokens,
        projector_hidden_act="linear",
        vision_feature_layer=-1,
        vision_feature_select_strategy="full" if vision.cls_token else "default",
    )
    exported = LlavaForConditionalGeneration(config)
    exported.model.vision_tower, exported.model.language_model = tower, base.model
    exported.lm_head = base.lm_head
    projector = exported.model.multi_modal_projector
    with torch.no_grad():
        projector.linear_1.load_state_dict(ours.projector.state_dict())
        projector.linear_2.weight.copy_(torch.eye(base.config.hidden_size))
        projector.linear_2.bias.zero_()
    exported.generation_config = base.generation_config
    exported.generation_config.suppress_tokens = [image_token]
    return exported.eval()


def _to_transformers_vit(ours: Any, vision: Vision) -> ViTModel:
    """Convert a timm ViT to transformers, through a file with key names that all its versions read."""
    config = ViTConfig(
        hidden_size=ours.embed_dim,
        num_hidden_layers=len(ours.blocks),
        num_attention_heads=ours.blocks[0].attn.num_heads,
        intermediate_size=ours.blocks[0].mlp.fc1.out_features,
        layer_norm_eps=ours.norm.eps,
        image_size=vision.size,
        patch_size=ours.patch_embed.patch_size[0],
        qkv_bias=ours.blocks[0].attn.qkv.bias is not None,
    )
    config.tie_last_hidden_states = True
    config.architectures = ["ViTModel"]
    converted = (pair for name, tensor in ours.state_dict().items() for pair in _vit_names(name, tensor))
    state = {key: part.clone() for key, part in converted}
    width = ours.embed_dim
    state |= {"pooler.dense.weight": torch.zeros(width, width), "pooler.dense.bias": torch.zeros(width)}
    with tempfile.TemporaryDirectory() as scratch:
        config.save_pretrained(scratch)
        torch.save(state, Path(scratch, "pytorch_model.bin"))
        loading: Any = ViTModel.from_pretrained(scratch, output_loading_info=True)
    vit, info = loading
    if info["missing_keys"] or info["unexpected_keys"]:
        raise WorkError(f"the tower lost weights in the conversion to transformers: {info}")
    return cast(ViTModel, vit)


def _vit_names(name: str, tensor: Tensor) -> list[tuple[str, Tensor]]:
    """Give transformers' names for a tensor of a timm ViT; the joined matrix for query, key and value is split."""
    for pattern, replacement in VIT_NAMES:
        name = re.sub(pattern, replacement, name)
    if ".attn.qkv." not in name:
        return [(name, tensor)]
    parts = zip(("query", "key", "value"), tensor.chunk(3), strict=True)
    return [(name.replace(".attn.qkv.", f".attention.attention.{word}."), part) for word, part in parts]


def _processor(tokenizer: PreTrainedTokenizerBase, recipe: Recipe, patch: int) -> LlavaProcessor:
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE_TOKEN]})
    return LlavaProcessor(
        image_processor=image_processor(recipe.vision),
        tokenizer=tokenizer,
        patch_size=patch,
        vision_feature_select_strategy="full" if recipe.vision.cls_token else "default",
        chat_template=chat_template(recipe.text.template),
        num_additional_image_tokens=1,
    )


def chat_template(template: str) -> str:
    """Convert the recipe's prompt template to a chat template: the images, then the user's text in the template."""
    before, after = (json.dumps(part, ensure_ascii=False) for part in template.split("{prompt}"))
    return (
        "{{ bos_token }}{% for message in messages %}{% if message.role == 'user' %}"
        "{% if message.content is string %}{{ " + before + " + message.content + " + after + " }}{% else %}"
        "{% for part in message.content if part.type == 'image' %}" + IMAGE_TOKEN + "{% endfor %}"
        "{{ " + before + " + message.content | selectattr('type', 'equalto', 'text') | map(attribute='text')"
        " | join('\\n') + " + after + " }}{% endif %}"
        "{% else %}{% if message.content is string %}{{ message.content }}{% else %}"
        "{% for part in message.content %}{{ part.text }}{% endfor %}{% endif %}{{ eos_token }}{% endif %}{% endfor %}"
    )


def _test_sample(loaded: checkpoints.Checkpoint) -> Sample:
    """Give a sample with a random image, to compare two models on."""
    tokenizer, side = loaded.tokenizer, loaded.recipe.vision.size
    text = loaded.recipe.text.template.replace("{prompt}", "What is seen in this image?")
    prompt: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = [tokenizer.bos_token_id, *[IMAGE_TOKEN_ID] * loaded.model.image_tokens, *prompt]
    pixels = torch.randn(3, side, side, generator=torch.Generator().manual_seed(0))
    return Sample("probe", ids, [IGNORE_INDEX] * len(ids), [pixels])


def _max_logit_diff(folder: Path, sample: Sample, ours: Tensor) -> float:
    """Load the folder with transformers, and give the largest difference of its logits from ours.

    Raises:
        WorkError: they differ by more than `LOGIT_TOLERANCE`.
    """
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    image = AutoProcessor.from_pretrained(folder).image_token_id
    ids = torch.tensor([[image if token == IMAGE_TOKEN_ID else token for token in sample.input_ids]])
    with torch.inference_mode():
        theirs = model(input_ids=ids, pixel_values=sample.pixels[0][None], attention_mask=torch.ones_like(ids)).logits
    difference = (theirs[..., : ours.shape[-1]] - ours).abs()
    found = difference[..., torch.arange(ours.shape[-1]) != image].max().item()
    if not found <= LOGIT_TOLERANCE:
        raise WorkError(f"the exported model's logits differ from ours by {found:.2g}; nothing was written")
    say(f"the exported model's logits differ from ours by at most {found:.1g}")
    return found


def _validate_tower(tower: Any, vision: Vision) -> None:
    """Raise unless a tower is a plain Vision Transformer, as transformers' ViT is.

    Raises:
        UsageError: it is not.
    """
    plain = (
        isinstance(tower, VisionTransformer)
        and isinstance(tower.patch_embed, PatchEmbed)
        and isinstance(tower.norm, nn.LayerNorm)
        and isinstance(tower.norm_pre, nn.Identity)
        and tower.num_prefix_tokens == 1
        and not tower.no_embed_class
        and all(isinstance(part, nn.Identity) for name, part in tower.named_modules() if name.endswith(("ls1", "ls2")))
        and all(type(part) is nn.GELU for name, part in tower.named_modules() if name.endswith("mlp.act"))
    )
    if not plain:
        raise UsageError(
            f"transformers' ViT has no counterpart of {vision.timm}; only plain Vision Transformers export"
        )
