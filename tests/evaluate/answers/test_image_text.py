"""Runs of transformers models are scored as others are."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from medmix.evaluate.answers import suite
from medmix.evaluate.answers.image_text import option_logliks, renderer_of
from medmix.train.data.chat import decode_images
from medmix.train.run import checkpoint

from ...train.conftest import COLOURS, png, record
from ...train.family_runs import NAMES

Loaded = Any


@pytest.mark.parametrize("name", NAMES)
def test_eval_scores_a_run_and_option_likelihoods_are_those_of_the_model(
    name: str, run_of: Any, tmp_path: Path
) -> None:
    results = suite.evaluate(run_of(name), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert results["protocol"]["prompt"]["template"] == "the model's own chat template"
    assert {line["system"] for line in lines} >= {"model", "blank_image", "shuffled_images", "majority_answer"}
    loaded: Loaded = checkpoint.load(run_of(name))
    renderer = renderer_of(loaded)
    row = record("texts/test-1", "mcqa", "Is 1 even?\nA. yes\nB. no", "A. yes", png(COLOURS["red"]))
    sample = renderer.sample(row, decode_images(row, renderer.model), ())
    options = [renderer.text_ids(text) for text in ("A. yes", "B. no, it is not")]
    found = option_logliks(loaded, [sample], [options])[0]
    for ids, value in zip(options, found, strict=True):
        whole = renderer.extended(sample, ids)
        tokens = {name: column for name, column in whole.tokens.items() if name != "position_ids"}
        with torch.no_grad():
            scores = loaded.model.base(**tokens, **whole.images).logits[0].float().log_softmax(-1)
        expected = sum(float(scores[sample.length - 1 + place, token]) for place, token in enumerate(ids))
        assert value == pytest.approx(expected, rel=1e-5)
