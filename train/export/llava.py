"""A checkpoint as a plain folder of transformers: `LlavaForConditionalGeneration` with its processor and a card.

LoRA is merged into the weights. The tower becomes transformers' ViT, whose configuration says that its last norm
takes part (`tie_last_hidden_states`). Our linear projector becomes LLaVA's two layers: itself and the identity.
"""

import json
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

from ..data.collate import Sample, collate
from ..data.processor import image_processor
from ..data.render import IGNORE, IMAGE
from ..rank_zero import say
from ..recipe import Recipe, Vision
from ..run import checkpoint as checkpoints
from ..run import model_card

IMAGE_TOKEN = "<image>"  # noqa: S105 - no password
"""Stands for one image token in the exported tokenizer."""

ALLOWED = 1e-4
"""How far the exported model's scores may be from ours, in fp32."""


def export(checkpoint: Path, out: Path) -> float:
    """Write a checkpoint as a folder of transformers, load it again and compare.

    Args:
        checkpoint: one checkpoint, or a run, whose last one is taken.
        out: folder to write; must not exist, or be empty.

    Returns:
        The largest difference between our scores of the next token and those of the exported model.

    Raises:
        UsageError: there is no checkpoint, `out` is in use, or transformers has no tower of that kind.
        WorkError: the folder cannot be written, or answers otherwise than the checkpoint.
    """
    loaded = checkpoints.load(checkpoint)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is in use; give another --out, or remove it")
    _refuse_other_tower(loaded.model.tower.timm, loaded.recipe.vision)
    sample = _probe(loaded)
    with torch.inference_mode():
        ours = loaded.model.float().logits(collate([sample], loaded.tokenizer.pad_token_id, loaded.recipe.vision.size))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
            folder = Path(scratch, "model")
            patch = loaded.model.tower.timm.patch_embed.patch_size[0]
            processor = _processor(loaded.tokenizer, loaded.recipe, patch)
            llava(loaded, processor.image_token_id).save_pretrained(folder)
            processor.save_pretrained(folder)
            difference = _difference(folder, sample, ours)
            log = loaded.path.parent / "train_log.jsonl"
            model_card.write(folder, out.name, loaded.recipe, loaded.state, log, difference)
            if out.exists():
                out.rmdir()
            shutil.move(folder, out)
    except OSError as error:
        raise WorkError(f"{out} cannot be written ({error}); make room and type the same command again") from error
    return difference


def llava(loaded: checkpoints.Checkpoint, image_token: int) -> LlavaForConditionalGeneration:
    """Make transformers' model from a loaded checkpoint, whose adapters are merged; fp32."""
    ours, vision = loaded.model.float(), loaded.recipe.vision
    base = ours.language.merge_and_unload() if isinstance(ours.language, peft.PeftModel) else ours.base
    base.config._attn_implementation = "sdpa"
    if image_token >= base.get_input_embeddings().num_embeddings:
        base.resize_token_embeddings(image_token + 1, mean_resizing=False)
        with torch.no_grad():
            base.get_input_embeddings().weight[image_token] = 0
            base.get_output_embeddings().weight[image_token] = 0
    tower = _vit(ours.tower.timm, vision)
    config = LlavaConfig(
        vision_config=tower.config,
        text_config=base.config,
        image_token_index=image_token,
        image_seq_length=ours.image_tokens,
        projector_hidden_act="linear",
        vision_feature_layer=-1,
        vision_feature_select_strategy="full" if vision.cls_token else "default",
    )
    made = LlavaForConditionalGeneration(config)
    made.model.vision_tower, made.model.language_model = tower, base.model
    made.lm_head = base.lm_head
    projector = made.model.multi_modal_projector
    with torch.no_grad():
        projector.linear_1.load_state_dict(ours.projector.state_dict())
        projector.linear_2.weight.copy_(torch.eye(base.config.hidden_size))
        projector.linear_2.bias.zero_()
    made.generation_config = base.generation_config
    made.generation_config.suppress_tokens = [image_token]
    return made.eval()


def _vit(ours: Any, vision: Vision) -> ViTModel:
    """Bring a timm ViT to transformers, through a file with the names that all its versions read."""
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
    state = {}
    for name, tensor in ours.state_dict().items():
        for key, part in _vit_names(name, tensor):
            state[key] = part.clone()
    state |= {"pooler.dense.weight": torch.zeros(ours.embed_dim, ours.embed_dim)}
    state |= {"pooler.dense.bias": torch.zeros(ours.embed_dim)}
    with tempfile.TemporaryDirectory() as scratch:
        config.save_pretrained(scratch)
        torch.save(state, Path(scratch, "pytorch_model.bin"))
        loading: Any = ViTModel.from_pretrained(scratch, output_loading_info=True)
    made, info = loading
    if info["missing_keys"] or info["unexpected_keys"]:
        raise WorkError(f"the tower lost weights on its way to transformers: {info}")
    return cast(ViTModel, made)


def _vit_names(name: str, tensor: Tensor) -> list[tuple[str, Tensor]]:
    """Give transformers' names for a tensor of a timm ViT; its one matrix for query, key and value becomes three."""
    plain = {"cls_token": "embeddings.cls_token", "pos_embed": "embeddings.position_embeddings"}
    if name in plain:
        return [(plain[name], tensor)]
    name = name.replace("patch_embed.proj.", "embeddings.patch_embeddings.projection.")
    if name.startswith("norm."):
        name = f"layernorm.{name.removeprefix('norm.')}"
    name = name.replace("blocks.", "encoder.layer.")
    name = name.replace(".norm1.", ".layernorm_before.").replace(".norm2.", ".layernorm_after.")
    name = name.replace(".mlp.fc1.", ".intermediate.dense.").replace(".mlp.fc2.", ".output.dense.")
    name = name.replace(".attn.proj.", ".attention.output.dense.")
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
    """Write the recipe's template as transformers' chat template: the images, then the user's text in the template."""
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


def _probe(loaded: checkpoints.Checkpoint) -> Sample:
    """Give a sample with a noisy image, to compare two models on."""
    words, text = loaded.tokenizer, loaded.recipe.text.template.replace("{prompt}", "What is seen in this image?")
    side = loaded.recipe.vision.size
    said: list[int] = words(text, add_special_tokens=False)["input_ids"]
    ids = [words.bos_token_id, *[IMAGE] * loaded.model.image_tokens, *said]
    pixels = torch.randn(3, side, side, generator=torch.Generator().manual_seed(0))
    return Sample("probe", ids, [IGNORE] * len(ids), [pixels])


def _difference(folder: Path, sample: Sample, ours: Tensor) -> float:
    """Load the folder as anyone would, and compare scores.

    Raises:
        WorkError: they differ by more than `ALLOWED`, or the processor makes other tokens of the prompt.
    """
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    image = AutoProcessor.from_pretrained(folder).image_token_id
    ids = torch.tensor([[image if token == IMAGE else token for token in sample.input_ids]])
    with torch.inference_mode():
        theirs = model(input_ids=ids, pixel_values=sample.pixels[0][None], attention_mask=torch.ones_like(ids)).logits
    difference = (theirs[..., : ours.shape[-1]] - ours).abs()
    real = torch.arange(ours.shape[-1]) != image
    found = difference[..., real].max().item()
    if not found <= ALLOWED:
        raise WorkError(f"the exported model's scores differ from ours by {found:.2g}; nothing was written")
    say(f"the exported model's scores differ from ours by at most {found:.1g}")
    return found


def _refuse_other_tower(tower: Any, vision: Vision) -> None:
    """Raise unless a tower is a plain Vision Transformer: transformers' ViT has no other parts.

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
