"""The processor of an exported model: its tokenizer, image processor and chat template."""

import json
from typing import Literal

from tokenizers import AddedToken
from transformers import LlavaProcessor, PreTrainedTokenizerBase

from ..data.collate import image_processor
from ..data.render import IMAGE_TOKEN
from ..recipe import Recipe


def make_processor(tokenizer: PreTrainedTokenizerBase, recipe: Recipe, patch: int, has_class: bool) -> LlavaProcessor:
    """Make the processor that gives a prompt the token ids of training.

    Args:
        tokenizer: of the checkpoint; gets the image token, and pads on the left from now on.
        recipe: of the run.
        patch: side of the tower's patches in pixels.
        has_class: whether the tower has a class token.
    """
    tokenizer.add_special_tokens(
        {"additional_special_tokens": [AddedToken(IMAGE_TOKEN, special=True, normalized=False)]}
    )
    pad_left(tokenizer)
    return LlavaProcessor(
        image_processor=image_processor(recipe.vision),
        tokenizer=tokenizer,
        patch_size=patch,
        vision_feature_select_strategy=feature_strategy(recipe, has_class),
        chat_template=chat_template(recipe.text.template),
        num_additional_image_tokens=int(has_class),
    )


def pad_left(tokenizer: PreTrainedTokenizerBase) -> None:
    """Make a tokenizer pad on the left, also after it was saved and loaded, as generation needs it."""
    tokenizer.padding_side = tokenizer.init_kwargs["padding_side"] = "left"  # what is saved are the init_kwargs


def feature_strategy(recipe: Recipe, has_class: bool) -> Literal["default", "full"]:
    """Give LLaVA's name for the tower's tokens that the language model sees: `default` leaves out the class token."""
    return "default" if has_class and not recipe.vision.cls_token else "full"


def chat_template(template: str) -> str:
    """Convert the recipe's prompt template to a chat template: the images, then the user's text in the template."""
    before, after = (json.dumps(part, ensure_ascii=False) for part in template.split("{prompt}"))
    return (
        "{{ bos_token }}{% for message in messages %}{% if message.role == 'user' %}"
        "{% if message.content is string %}{{ " + before + " + message.content + " + after + " }}{% else %}"
        "{% for part in message.content if part.type == 'image' %}" + IMAGE_TOKEN + "{% endfor %}"
        "{{ " + before + " + message.content | selectattr('type', 'equalto', 'text') | map(attribute='text')"
        " | join('\\n') + " + after + " }}{% endif %}"
        "{% elif message.role == 'assistant' %}"
        "{% if message.content is string %}{{ message.content }}{% else %}"
        "{% for part in message.content %}{{ part.text }}{% endfor %}{% endif %}{{ eos_token }}"
        "{% else %}{{ raise_exception('the model knows the roles user and assistant, not ' + message.role) }}"
        "{% endif %}{% endfor %}"
    )
