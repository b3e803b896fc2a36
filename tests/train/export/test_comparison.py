"""What is exported is what was trained, for every kind of tokenizer, tower and dtype that recipes can name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    CLIPVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    SiglipVisionModel,
)

from medmix.curate.errors import WorkError
from medmix.train.data import tokenizer as tokenizers
from medmix.train.data.render import IMAGE_TOKEN_ID, Renderer
from medmix.train.export import comparison, folder, processor
from medmix.train.export.folder import export
from medmix.train.recipe import Text
from medmix.train.run import loop

from ..conftest import record, tiny_recipe

TEXTS = ["User: is there a lesion in this image? Assistant: yes, no, all red", "<|im_start|>user\nWhat? blue green"] * 3
CHATML = "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
QUESTION = "User: {prompt}\nAssistant: "


def byte_bpe() -> PreTrainedTokenizerBase:
    """As of GPT-2, LLaMA 3 and Qwen: no blank before the text, special tokens for turns."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False))
    bpe.add_special_tokens(["<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>"])
    bpe.add_tokens([AddedToken("<tool>", normalized=False)])
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def sentencepiece(**options: Any) -> PreTrainedTokenizerBase:
    """As of LLaMA 1 and 2: words begin with a blank, and bytes stand for what is not in the vocabulary."""
    bpe = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    bpe.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=True)
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    bpe.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=340, special_tokens=special, show_progress=False))
    learned = json.loads(bpe.to_str())["model"]
    return LlamaTokenizer(vocab=learned["vocab"], merges=[tuple(pair) for pair in learned["merges"]], **options)


TOKENIZERS: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    "byte BPE": byte_bpe,
    "SentencePiece, a blank before the text": sentencepiece,
    "SentencePiece, a blank before every part": lambda: sentencepiece(legacy=True),
    "SentencePiece, no blank": lambda: sentencepiece(add_prefix_space=False),
}


@pytest.fixture(scope="module", params=TOKENIZERS)
def language(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random LLaMA with a tokenizer."""
    out = tmp_path_factory.mktemp("language")
    tokenizer = TOKENIZERS[request.param]()
    tokenizer.save_pretrained(out)
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
            vocab_size=len(tokenizer), max_position_embeddings=1024,
        )
    ).save_pretrained(out)  # fmt: skip
    return out


def recipe_of(language: Path, template: str, *more: str) -> Any:
    pad = "<pad>" if "<pad>" in (language / "tokenizer.json").read_text() else "<unk>"
    return tiny_recipe(
        "language.shape=null", "language.vocab_size=null", "language.weights.repo=tiny", f"language.pad_token={pad}",
        f"language.weights.path={language}", f"text.template={json.dumps(template)}", "run.steps=3", "optim.lr=0.01",
        "run.pack_tokens=1024", "text.max_prompt_tokens=256", "text.max_answer_tokens=256", *more,
    )  # fmt: skip


@pytest.mark.parametrize("template", [QUESTION, CHATML], ids=["words", "ChatML"])
def test_a_run_with_any_tokenizer_exports(mix: Path, language: Path, template: str, tmp_path: Path) -> None:
    loop.train(mix, recipe_of(language, template), tmp_path / "run", False)
    assert export(tmp_path / "run", tmp_path / "model") <= 1e-4


@pytest.mark.parametrize("template", [QUESTION, CHATML], ids=["words", "ChatML"])
def test_text_and_conversation_have_the_ids_of_training(language: Path, template: str) -> None:
    recipe = recipe_of(language, template)
    tokenizer = tokenizers.load(language, recipe.language)
    renderer = Renderer(tokenizer, recipe.text, 4, 4)
    exported = processor.make_processor(tokenizers.load(language, recipe.language), recipe, 16, True)

    def ids(*texts: str) -> list[int]:
        roles = zip(("user", "assistant"), texts, strict=False)
        turns = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in roles]
        found: list[int] = exported.apply_chat_template(turns, tokenize=True)
        return found[0] if found and isinstance(found[0], list) else found

    @settings(max_examples=60, deadline=None)
    @given(st.text(max_size=12), st.text(min_size=1, max_size=12))
    def check(question: str, answer: str) -> None:
        row = record("s/1", "qa", question, "x")
        row["messages"][1]["content"][0]["text"] = answer
        assert ids(question) == renderer.prompt_ids(row)
        whole, _ = renderer.encode(row)
        if (conversation := ids(question, answer))[: len(ids(question))] == ids(question):
            assert whole == conversation

    check()


def test_special_tokens_of_the_template_count_and_those_of_the_prompt_do_not() -> None:
    tokenizer = byte_bpe()
    renderer = Renderer(tokenizer, Text(template=CHATML), 2, 4)
    start, end = (tokenizer.convert_tokens_to_ids(token) for token in ("<|im_start|>", "<|im_end|>"))
    ids = renderer.prompt_ids(record("s/1", "vqa", "a <|im_end|> </s> <image>", "no", b"image"))
    assert ids[:4] == [tokenizer.bos_token_id, IMAGE_TOKEN_ID, IMAGE_TOKEN_ID, start]
    assert ids.count(start) == 2
    assert ids.count(end) == 1
    assert ids.count(tokenizer.eos_token_id) == 0
    assert ids.count(IMAGE_TOKEN_ID) == 2
    assert "a <|im_end|> </s> <image>" in tokenizer.decode([i for i in ids if i >= 0])


@pytest.fixture(scope="module")
def run(mix: Path, once) -> Path:
    def train(out: Path) -> None:
        loop.train(mix, tiny_recipe("run.steps=30", "optim.lr=0.01"), out / "run", False)

    return once("compared", train) / "run"


@pytest.mark.parametrize(("dtype", "bytes_each"), [("fp32", 4), ("bf16", 2), ("fp16", 2)])
def test_the_weights_have_the_dtype_asked_for(run: Path, tmp_path: Path, dtype: str, bytes_each: int) -> None:
    difference = export(run, tmp_path / "model", dtype)
    with safe_open(tmp_path / "model" / "model.safetensors", "pt") as file:
        assert {file.get_tensor(name).itemsize for name in file.keys()} == {bytes_each}  # noqa: SIM118 - no dict
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "model")
    assert model.dtype == folder.DTYPES[dtype]
    assert (difference > 1e-4) == (dtype != "fp32")
    assert f"Exported in {dtype}" in (tmp_path / "model" / "README.md").read_text()


def test_a_run_in_bf16_exports_as_bf16(mix: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe("run.steps=3", "run.precision=bf16", "train=[tower, projector, lora]")
    loop.train(mix, recipe, tmp_path / "run", False)
    export(tmp_path / "run", tmp_path / "model")
    assert AutoModelForImageTextToText.from_pretrained(tmp_path / "model").dtype == torch.bfloat16


SERVED = {
    "vit_base_patch16_clip_224": (CLIPVisionModel, "CLIP"),
    "vit_base_patch16_clip_quickgelu_224": (CLIPVisionModel, "CLIP"),
    "vit_base_patch16_siglip_224": (SiglipVisionModel, "SigLIP"),
}
"""Towers whose layout vLLM takes, when they are trained without their last norm."""


@pytest.mark.parametrize("timm", SERVED)
def test_towers_of_clip_and_siglip_keep_their_layout(mix: Path, tmp_path: Path, timm: str) -> None:
    more = ", global_pool: '', class_token: false" if "siglip" in timm else ""
    kwargs = f"vision.kwargs={{patch_size: 16, embed_dim: 32, depth: 1, num_heads: 2, final_norm: false{more}}}"
    loop.train(mix, tiny_recipe("run.steps=3", f"vision.timm={timm}", kwargs), tmp_path / "run", False)
    assert export(tmp_path / "run", tmp_path / "model") <= 1e-4
    kind, name = SERVED[timm]
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "model")
    assert type(model.model.vision_tower) is kind
    assert (
        f"The tower has the layout of {name}. vLLM's LLaVA takes such towers"
        in (tmp_path / "model" / "README.md").read_text()
    )


def _change_template(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = processor.chat_template
    monkeypatch.setattr(processor, "chat_template", lambda template: ours(template.replace("User:", "User: ")))


def _change_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = processor.image_processor

    def changed(vision: Any) -> Any:
        made = ours(vision)
        made.image_mean = [0.5, 0.5, 0.51]
        return made

    monkeypatch.setattr(processor, "image_processor", changed)


def _change_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = folder.to_llava

    def changed(*arguments: Any) -> Any:
        model = ours(*arguments)
        with torch.no_grad():
            model.lm_head.weight[5] *= 1.01
        return model

    monkeypatch.setattr(folder, "to_llava", changed)


def _change_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = folder.make_processor

    def changed(*arguments: Any) -> Any:
        made = ours(*arguments)
        made.tokenizer.padding_side = made.tokenizer.init_kwargs["padding_side"] = "right"
        return made

    monkeypatch.setattr(folder, "make_processor", changed)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (_change_template, "the exported processor gives 'What is seen in this image?' other token ids than training"),
        (_change_mean, "the exported processor's pixels differ by"),
        (_change_weights, "the exported model's logits differ by"),
        (_change_padding, "in a batch the exported model answers"),
    ],
)
def test_an_export_that_differs_is_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[..., None], line: str
) -> None:
    change(monkeypatch)
    with pytest.raises(WorkError) as caught:
        export(run, tmp_path / "model")
    assert str(caught.value).startswith(line)
    assert str(caught.value).endswith("; nothing was written")
    assert list(tmp_path.iterdir()) == []


def test_the_exported_template_refuses_a_role_that_was_not_trained(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "model")
    loaded = AutoProcessor.from_pretrained(tmp_path / "model")
    with pytest.raises(Exception, match="the model knows the roles user and assistant, not system"):
        loaded.apply_chat_template([{"role": "system", "content": "Be brief."}])


def test_two_images_are_in_the_comparison() -> None:
    assert {count for _, count in comparison.QUESTIONS} == {0, 1, 2}
