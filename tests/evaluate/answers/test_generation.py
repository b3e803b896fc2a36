from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from medmix.evaluate.answers.batching import Prompts
from medmix.evaluate.answers.generation import AnswerGenerator
from medmix.evaluate.answers.images import QuestionImages
from medmix.evaluate.answers.mix_split import read_questions
from medmix.evaluate.answers.questions import Question, first_line
from medmix.train.data.collate import Sample, collate
from medmix.train.data.render import IGNORE_INDEX, Renderer
from medmix.train.run.checkpoint import Checkpoint


@pytest.fixture(scope="module")
def samples(mix: Path, loaded: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """The prompts of the mix's test split, of several lengths, with and without an image."""
    image_store = QuestionImages(tmp_path_factory.mktemp("images"), loaded.recipe.vision)
    return prompts_of(loaded, read_questions(mix, "test", (), image_store), image_store)


def prompts_of(loaded: Checkpoint, questions: list[Question], image_store: QuestionImages) -> list[Sample]:
    renderer = Renderer(loaded.tokenizer, loaded.recipe.text, loaded.model.image_tokens, 4)
    prompts, made = Prompts(renderer), []
    for question in questions:
        ids = prompts.ids(question)
        made.append(
            Sample(question.id, ids, [IGNORE_INDEX] * len(ids), [image_store.tensor(key) for key in question.images])
        )
    return made


def without_cache(loaded: Checkpoint, sample: Sample, steps: int) -> list[int]:
    """The greedy tokens of one prompt: the whole row passes the model for every token."""
    said: list[int] = []
    for _ in range(steps):
        ids = [*sample.input_ids, *said]
        batch = collate([replace(sample, input_ids=ids, labels=ids)], loaded.tokenizer.pad_token_id, 64)
        with torch.inference_mode():
            token = int(loaded.model.logits(batch)[0, -1].argmax())
        if token == loaded.tokenizer.eos_token_id:
            break
        said.append(token)
    return said


def test_batches_of_any_size_answer_as_a_loop_without_a_cache_does(loaded: Checkpoint, samples: list[Sample]) -> None:
    assert len({len(sample.input_ids) for sample in samples}) > 1
    steps = loaded.recipe.generation.max_new_tokens
    slow = [
        first_line(loaded.tokenizer.decode(without_cache(loaded, sample, steps), skip_special_tokens=True))
        for sample in samples
    ]
    answerer = AnswerGenerator(loaded)
    assert len(set(slow)) > 3
    assert answerer(samples) == slow
    assert [answer for sample in samples for answer in answerer([sample])] == slow
    assert answerer(samples[::-1]) == slow[::-1]


def test_a_step_computes_one_token_a_row(
    loaded: Checkpoint, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder, seen = loaded.model.base.get_decoder(), []
    forward = decoder.forward

    def watched(*arguments: Any, **named: Any) -> Any:
        given = named.get("inputs_embeds")
        seen.append(tuple((named["input_ids"] if given is None else given).shape[:2]))
        return forward(*arguments, **named)

    monkeypatch.setattr(decoder, "forward", watched)
    AnswerGenerator(loaded)(samples)
    longest = max(len(sample.input_ids) for sample in samples)
    assert seen[0] == (len(samples), longest)
    assert len(seen) > 2
    assert set(seen[1:]) == {(len(samples), 1)}


def test_a_row_ends_with_its_first_line_and_says_the_same(loaded: Checkpoint, samples: list[Sample]) -> None:
    texts = [sample for sample in samples if sample.id.startswith("texts/")]
    batch = collate(texts, loaded.tokenizer.pad_token_id, 64, side="left")
    answerer = AnswerGenerator(loaded)
    whole = loaded.model.generate(batch, 16)
    ended = loaded.model.generate(batch, 16, stop=answerer._stop)
    decoded = loaded.tokenizer.batch_decode(whole, skip_special_tokens=True)
    assert any("\nIt is." in text for text in decoded)
    assert [first_line(text) for text in decoded] == answerer(texts)
    assert not any("It is." in text for text in loaded.tokenizer.batch_decode(ended, skip_special_tokens=True))
    assert ended.shape[1] < whole.shape[1]


def test_left_padding_does_not_change_the_scores_of_the_next_token(loaded: Checkpoint, samples: list[Sample]) -> None:
    with torch.inference_mode():
        together = first_scores(loaded, samples)
        alone = torch.cat([first_scores(loaded, [sample]) for sample in samples])
    assert torch.allclose(together, alone, atol=1e-5)


def first_scores(loaded: Checkpoint, samples: list[Sample]) -> torch.Tensor:
    """The scores from which generation takes its first token, [B, V]."""
    batch = collate(samples, loaded.tokenizer.pad_token_id, loaded.recipe.vision.size, side="left")
    made = loaded.model.base.generate(
        inputs_embeds=loaded.model.embed(batch),
        attention_mask=batch.attention_mask,
        max_new_tokens=1,
        output_logits=True,
        return_dict_in_generate=True,
    )
    scores: torch.Tensor = made.logits[0]
    return scores
