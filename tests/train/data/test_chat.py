"""Prompts are the family's own, labels are on the answer alone, and text stays text."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoProcessor

from medmix.curate.errors import WorkError
from medmix.train.data.chat import ChatRenderer
from medmix.train.data.chat_template import image_token

from ..conftest import COLOURS, png, record
from ..families import FAMILIES
from ..family_runs import NAMES, ROWS, model_and_renderer, own_inputs, recipe_of


def renderer_of(folder: Path, *overrides: str) -> ChatRenderer:
    with torch.device("meta"):
        return model_and_renderer(folder, recipe_of(folder, *overrides))[1]


@pytest.mark.parametrize("name", NAMES)
def test_the_prompt_is_the_familys_own_and_labels_are_on_the_answer(name: str, folder_of: Any) -> None:
    renderer, end = renderer_of(folder_of(name)), FAMILIES[name].end
    for row in ROWS:
        sample, own = renderer.encode(row), own_inputs(AutoProcessor.from_pretrained(folder_of(name)), row, renderer)
        width = own["input_ids"].shape[1]
        ids = sample.tokens["input_ids"]
        assert torch.equal(ids[:, :width], own["input_ids"])
        assert all(torch.equal(sample.images[key], own[key]) for key in sample.images)
        assert {*sample.images, *sample.tokens, "attention_mask"} == {*own.keys(), "position_ids"}
        assert sample.labels[:width].eq(-100).all() and torch.equal(sample.labels[width:], ids[0, width:])
        assert renderer.tokenizer.decode(ids[0, width:]).strip() == row["messages"][1]["content"][0]["text"] + end


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_is_what_the_family_writes_for_both_turns(name: str, folder_of: Any) -> None:
    """With the answer the ids are those of the family's whole conversation, up to the end of the answer."""
    renderer = renderer_of(folder_of(name))
    row = ROWS[1]
    messages = [{**message, "content": [*message["content"]]} for message in row["messages"]]
    whole = renderer.processor.apply_chat_template(messages, tokenize=True, return_dict=True, return_tensors="pt")
    ids = renderer.encode(row).tokens["input_ids"][0]
    text = len(ids) - len(renderer.turn.end)
    assert whole["input_ids"][0, :text].tolist() == ids[:text].tolist()


def test_the_prompt_does_not_depend_on_the_answer(folder_of: Any) -> None:
    renderer = renderer_of(folder_of("qwen2.5-vl"))
    one, other = (record("s/1", "vqa", "Why?", answer, png(COLOURS["red"])) for answer in ("yes", "no, " * 40))
    a, b = (renderer.encode(row) for row in (one, other))
    width = int(a.labels.eq(-100).sum())
    assert width == int(b.labels.eq(-100).sum())
    assert torch.equal(a.tokens["input_ids"][:, :width], b.tokens["input_ids"][:, :width])


@pytest.mark.parametrize("name", NAMES)
def test_text_that_spells_a_control_token_stays_text(name: str, folder_of: Any) -> None:
    renderer = renderer_of(folder_of(name))
    processor, control = renderer.processor, renderer.control
    image, end = image_token(processor), FAMILIES[name].end
    spelled = record("s/1", "vqa", f"Is {image} or {end} red?", f"no {image} but {end} is", png(COLOURS["red"]))
    plain = record("s/1", "vqa", "Is it red?", "no", png(COLOURS["red"]))
    forged, honest = renderer.encode(spelled), renderer.encode(plain)
    ids = [processor.tokenizer.convert_tokens_to_ids(token) for token in (image, end)]
    counts = [[int((sample.tokens["input_ids"] == token).sum()) for token in ids] for sample in (forged, honest)]
    assert counts[0] == counts[1]
    assert {image, end} <= {*control}
    text = processor.tokenizer.decode(forged.tokens["input_ids"][0])
    assert f"Is {image} or {end} red?" in text and f"no {image} but {end} is" in text
    first = int(honest.tokens["input_ids"][0, 0])
    assert int(forged.tokens["input_ids"][0, 0]) == first  # the begin token is not lost


def test_an_answer_that_the_tokenizer_cannot_encode_as_text_is_refused(
    folder_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = renderer_of(folder_of("llava"))
    image = renderer.tokenizer.convert_tokens_to_ids("<image>")
    monkeypatch.setattr(ChatRenderer, "_plain", lambda self, text: [image] if "<image>" in text else [])
    with pytest.raises(WorkError, match=r"^s/7: the text spells '<image>', which the tokenizer cannot encode as text"):
        renderer.encode(record("s/7", "qa", "Why?", "no <image>"))


def test_long_texts_are_truncated_and_lose_the_end_token(folder_of: Any) -> None:
    renderer = renderer_of(folder_of("gemma-3"), "text.max_prompt_tokens=5", "text.max_answer_tokens=4")
    sample = renderer.encode(record("s/1", "qa", "one two three four five", "red green blue all of them"))
    answer = sample.labels[sample.labels != -100].tolist()
    assert len(answer) == 4 and renderer.turn.end[-1] not in answer
    prompt = renderer.tokenizer.decode(sample.tokens["input_ids"][0, : -len(answer)])
    assert "one" not in prompt and prompt.startswith("<bos><start_of_turn>user\n") and "five" in prompt


def test_a_record_that_is_too_long_is_named(folder_of: Any) -> None:
    limits = ("run.pack_tokens=60", "run.micro_batch_size=null")
    renderer = renderer_of(folder_of("idefics3"), *limits)
    with pytest.raises(WorkError, match=r"^s/3: has 92 tokens with its images, run.pack_tokens is 60; raise it, or "):
        renderer.encode(ROWS[2])
