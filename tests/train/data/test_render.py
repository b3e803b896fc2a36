import pytest
from transformers import PreTrainedTokenizerBase

from medmix.curate.errors import WorkError
from medmix.train.data.collate import Sample, collate, pixels
from medmix.train.data.render import IGNORE_INDEX, IMAGE_TOKEN_ID, Renderer
from medmix.train.data.tokenizer import train_bpe
from medmix.train.recipe import Language, Text

from ..conftest import png, record, tiny_recipe


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_bpe(["User: is it? Assistant: yes"], Language(vocab_size=260))


def spelled(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> list[str]:
    return ["<image>" if i == IMAGE_TOKEN_ID else "-" if i == IGNORE_INDEX else tokenizer.decode([i]) for i in ids]


def test_only_the_answer_and_its_end_have_labels(tokenizer: PreTrainedTokenizerBase) -> None:
    renderer = Renderer(tokenizer, Text(template="Q:{prompt}|"), image_tokens=2, max_images=4)
    ids, labels = renderer.encode(record("s/1", "vqa", "ok?", "no", b"image"))
    assert spelled(tokenizer, ids) == ["<s>", "<image>", "<image>", *"Q:ok?|", "n", "o", "</s>"]
    assert spelled(tokenizer, labels) == ["-"] * 9 + ["n", "o", "</s>"]


def test_the_prompt_ends_where_the_labels_begin(tokenizer: PreTrainedTokenizerBase) -> None:
    renderer = Renderer(tokenizer, Text(max_prompt_tokens=7, max_answer_tokens=5), image_tokens=3, max_images=1)
    for answer in ("a", "an answer that is cut"):
        row = record("s/1", "vqa", "a question that is cut", answer, b"one", b"two")
        ids, labels = renderer.encode(row)
        prompt = renderer.prompt_ids(row)
        assert ids[: len(prompt)] == prompt
        assert labels[: len(prompt)] == [IGNORE_INDEX] * len(prompt)
        assert labels[len(prompt) :] == ids[len(prompt) :] == renderer.answer_ids(row)


def test_a_long_prompt_loses_its_start_and_a_long_answer_its_end(tokenizer: PreTrainedTokenizerBase) -> None:
    renderer = Renderer(tokenizer, Text("[{prompt}]", max_prompt_tokens=3, max_answer_tokens=2), 1, 4)
    row = record("s/1", "qa", "abcdef", "uvw")
    assert spelled(tokenizer, renderer.prompt_ids(row)) == ["<s>", *"[def]"]
    assert spelled(tokenizer, renderer.answer_ids(row)) == ["u", "v"]


def test_the_prompt_does_not_depend_on_the_answer(tokenizer: PreTrainedTokenizerBase) -> None:
    renderer = Renderer(tokenizer, Text(), 4, 4)
    one, other = record("s/1", "qa", "ok?", "yes"), record("s/1", "qa", "ok?", "no, " * 500)
    assert renderer.prompt_ids(one) == renderer.prompt_ids(other)


def test_text_cannot_forge_a_special_token(tokenizer: PreTrainedTokenizerBase) -> None:
    renderer = Renderer(tokenizer, Text("{prompt}"), 1, 4)
    ids, _ = renderer.encode(record("s/1", "qa", "<s></s><pad>", "</s>"))
    assert ids.count(tokenizer.bos_token_id) == ids.count(tokenizer.eos_token_id) == 1
    assert tokenizer.pad_token_id not in ids


def test_equal_texts_give_equal_tokenizers() -> None:
    texts = ["a lesion of the left lung", "no lesion", "läsion"]
    one, other = (train_bpe(texts, Language(vocab_size=300)) for _ in range(2))
    assert one.get_vocab() == other.get_vocab()


def test_padding_on_either_side(tokenizer: PreTrainedTokenizerBase) -> None:
    short, long = Sample("s/1", [5], [5], []), Sample("s/2", [6, 7, 8], [IGNORE_INDEX, 7, 8], [])
    right, left = collate([short, long], 0, 32), collate([short, long], 0, 32, side="left")
    assert right.input_ids.tolist() == [[5, 0, 0], [6, 7, 8]]
    assert right.labels.tolist() == [[5, IGNORE_INDEX, IGNORE_INDEX], [IGNORE_INDEX, 7, 8]]
    assert right.attention_mask.tolist() == [[1, 0, 0], [1, 1, 1]]
    assert left.input_ids.tolist() == [[0, 0, 5], [6, 7, 8]]
    assert left.attention_mask.tolist() == [[0, 0, 1], [1, 1, 1]]
    assert right.pixels.shape == (0, 3, 32, 32)


def test_an_image_is_fitted_whole_and_normalised() -> None:
    vision = tiny_recipe().vision
    (tensor,) = pixels(record("s/1", "vqa", "q", "a", png((255, 0, 127), (40, 20))), vision)
    assert tensor.shape == (3, 32, 32)
    assert tensor[:, 16, 16].tolist() == pytest.approx([1.0, -1.0, -0.004], abs=1e-3)
    assert tensor[:, 4, 16].tolist() == pytest.approx([0, 0, 0], abs=0.004)  # the mean colour above and below


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"images": []}, "s/1: 0 images but 1 image parts"),
        ({"images": [{"bytes": b"x", "path": None}]}, "s/1: an image cannot be used (unreadable-image: "),
        ({"messages": []}, "s/1: the messages are not one user turn and one assistant turn of text"),
    ],
)
def test_a_broken_record_stops_the_run(change: dict[str, object], line: str) -> None:
    row = {**record("s/1", "vqa", "q", "a", png((0, 0, 0))), **change}
    with pytest.raises(WorkError) as caught:
        pixels(row, tiny_recipe().vision)
    assert str(caught.value).startswith(line)
