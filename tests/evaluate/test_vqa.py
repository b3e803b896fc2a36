import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from medmix.curate.errors import UsageError
from medmix.evaluate import vqa
from medmix.train import checkpoint, loop, stream
from medmix.train.collate import Sample, collate, pixels
from medmix.train.recipe import load
from medmix.train.render import Renderer

from ..train.conftest import records, tiny_recipe, write_mix


@pytest.fixture(scope="module")
def run(mix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the smoke recipe that has learned the mix."""
    folder = tmp_path_factory.mktemp("runs") / "learned"
    loop.train(mix, load("smoke-cpu", ("run.steps=40", "generation.batch=5")), folder, False)
    return folder


def test_a_checkpoint_answers_as_the_model_that_it_was_saved_from(mix: Path, run: Path) -> None:
    one, other = checkpoint.load(run), checkpoint.load(checkpoint.find(run))
    rows = list(stream.rows(stream.open_split(mix, "test"), vqa.COLUMNS))
    assert list(vqa.answers(one, rows)) == list(vqa.answers(other, rows))
    last = json.loads((run / "train_log.jsonl").read_text().splitlines()[-1])
    assert one.state.step == last["step"] == 40


def test_batched_answers_equal_single_ones(mix: Path, run: Path) -> None:
    loaded = checkpoint.load(run)
    single = replace(loaded, recipe=replace(loaded.recipe, generation=replace(loaded.recipe.generation, batch=1)))
    rows = list(stream.rows(stream.open_split(mix, "test"), vqa.COLUMNS))
    assert list(vqa.answers(loaded, rows)) == list(vqa.answers(single, rows))


def test_left_padding_does_not_change_the_scores_of_the_next_token(mix: Path, run: Path) -> None:
    loaded = checkpoint.load(run)
    renderer = Renderer(loaded.tokenizer, loaded.recipe.text, loaded.model.image_tokens, 4)
    rows = list(stream.rows(stream.open_split(mix, "test"), vqa.COLUMNS))[:6]
    rows += list(stream.rows(stream.open_split(mix, "test"), vqa.COLUMNS))[-6:]
    samples = []
    for row in rows:
        ids = renderer.prompt_ids(row)
        samples.append(Sample(row["id"], ids, ids, pixels(row, loaded.recipe.vision)))
    pad, size = loaded.tokenizer.pad_token_id, loaded.recipe.vision.size
    assert len({len(sample.input_ids) for sample in samples}) > 1
    with torch.inference_mode():
        together = first_scores(loaded, samples)
        alone = torch.cat([first_scores(loaded, [sample]) for sample in samples])
    assert collate(samples, pad, size, side="left").attention_mask.min() == 0
    assert torch.allclose(together, alone, atol=1e-5)


def first_scores(loaded: checkpoint.Checkpoint, samples: list[Sample]) -> torch.Tensor:
    """The scores from which generation takes its first token, [B, V]."""
    batch = collate(samples, loaded.tokenizer.pad_token_id, loaded.recipe.vision.size, side="left")
    made = loaded.model.base.generate(  # type: ignore[misc]
        inputs_embeds=loaded.model.embed(batch),
        attention_mask=batch.attention_mask,
        max_new_tokens=1,
        output_logits=True,
        return_dict_in_generate=True,
    )
    scores: torch.Tensor = made.logits[0]
    return scores


def test_evaluate_writes_scores_predictions_and_table(mix: Path, run: Path, tmp_path: Path) -> None:
    results = vqa.evaluate(run, None, tmp_path)
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert results["model"]["overall"]["n"] == 12  # captions ask nothing
    assert results["model"]["sources"]["colours"] == {"n": 6, "exact_match": 1.0, "bleu1_sentence_word": 1.0}
    assert results["controls"]["blank_image"]["sources"].keys() == {"colours"}
    assert results["controls"]["blank_image"]["overall"]["exact_match"] <= 0.5
    assert results["controls"]["majority_answer"]["sources"]["texts"]["exact_match"] == 0.5
    assert results["mix"]["digest"] == results["checkpoint"]["mix_digest"] == stream.digest(mix)
    assert results["checkpoint"]["digest"] == checkpoint.digest(checkpoint.find(run))
    assert results["versions"].keys() >= {"medmix", "torch", "transformers", "peft", "timm"}
    lines = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert len({line["id"] for line in lines}) == 12
    assert {"question", "gold", "prediction", "correct"} <= lines[0].keys()
    gold = {line["id"]: line["gold"] for line in lines}
    assert gold["texts/test-1"] == "A. yes"  # the explanation on the next line is no part of the answer
    assert "| colours | 6 | 1.000 | 0.333 |" in (tmp_path / "table.md").read_text()


def test_a_limit_takes_from_every_source(run: Path, tmp_path: Path) -> None:
    results = vqa.evaluate(run, None, tmp_path, limit=4)
    assert {source: scores["n"] for source, scores in results["model"]["sources"].items()} == {"colours": 2, "texts": 2}


def test_the_answer_in_the_mix_does_not_reach_the_prediction(run: Path, tmp_path: Path) -> None:
    rows = records(6, "test")
    before = {row["id"]: row for row in rows}
    for row in rows:
        row["messages"][1]["content"][0]["text"] = "something else\nbecause"
    mix = write_mix(tmp_path / "mix", {"test": rows})
    results = vqa.evaluate(run, mix, tmp_path / "eval")
    assert results["model"]["overall"]["exact_match"] == 0.0
    assert results["controls"]["majority_answer"]["overall"]["exact_match"] == 0.0
    predictions = [json.loads(line) for line in (tmp_path / "eval/predictions.jsonl").read_text().splitlines()]
    colours = {line["id"]: line["prediction"] for line in predictions if line["source"] == "colours"}
    assert colours == {key: before[key]["answer"] for key in colours}


def test_no_questions_no_checkpoint_no_mix(run: Path, tmp_path: Path) -> None:
    mix = write_mix(tmp_path / "mix", {"train": records(1, "train")})
    with pytest.raises(UsageError, match="has no vqa, mcqa, qa records in its test split"):
        vqa.evaluate(run, mix, tmp_path / "eval")
    with pytest.raises(UsageError, match="holds no checkpoint; type: medmix train"):
        vqa.evaluate(tmp_path / "nowhere", mix, tmp_path / "eval")
    with pytest.raises(UsageError, match="medmix build"):
        vqa.evaluate(run, tmp_path / "nowhere", tmp_path / "eval")


def test_a_broken_checkpoint_is_a_usage_error(mix: Path, tmp_path: Path) -> None:
    loop.train(mix, tiny_recipe("run.steps=1"), tmp_path / "run", False)
    folder = checkpoint.find(tmp_path / "run")
    tower = folder / "tower.safetensors"
    tower.write_bytes(tower.read_bytes()[:100])
    with pytest.raises(UsageError, match="is no checkpoint that can be read"):
        checkpoint.load(folder)
    (folder / "checkpoint.json").write_text("{}")
    with pytest.raises(UsageError, match="is no checkpoint that can be read"):
        checkpoint.load(folder)
