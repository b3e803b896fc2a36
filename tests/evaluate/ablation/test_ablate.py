"""An ablation of two sources, killed at its worst, and what it says of them."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from medmix.cli import main
from medmix.curate.errors import UsageError
from medmix.evaluate.ablation import runs
from medmix.evaluate.ablation.scoring import Scoring
from medmix.evaluate.comparison import results
from medmix.train.run import checkpoint, loop
from medmix.train.run.state import find_checkpoint

from ...train.conftest import tiny_recipe
from ..classification import upstream
from ..classification.conftest import tiny as tiny_transfer

RECIPE = tiny_recipe("run.steps=16", "run.checkpoint_every=4", "sources=[colours, texts]")


@pytest.fixture(scope="module")
def done(mix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole ablation of `colours` and `texts`."""
    out = tmp_path_factory.mktemp("ablations") / "two"
    runs.ablate(mix, RECIPE, out, Scoring())
    return out


def read(out: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((out / "contributions.json").read_text())
    return document


def test_each_run_has_its_sources_and_the_budget(done: Path) -> None:
    document = read(done)
    assert {run["arm"]: run["sources"] for run in document["runs"]} == {
        "full": ["colours", "texts"],
        "without-colours": ["texts"],
        "without-texts": ["colours"],
    }
    budget = document["budget"]["tokens"]
    for run in document["runs"]:
        assert run["tokens"] == pytest.approx(budget, rel=0.12)
        assert run["steps"] == document["budget"]["steps"][run["arm"]]
        folder = done / "runs" / run["arm"] / "seed-0"
        recipe, _ = checkpoint.read(find_checkpoint(folder))
        assert recipe.sources == tuple(run["sources"])
    tokenizers = {path.read_bytes() for path in done.rglob("step-*/tokenizer/tokenizer.json")}
    assert len(tokenizers) == 1


def test_contributions_are_paired_differences_of_what_was_scored(done: Path) -> None:
    document = read(done)
    rows = {(row["source"], row["kind"], row["benchmark"]): row for row in document["contributions"]}
    value = {}
    for arm in ("full", "without-colours"):
        result = results.read(done / "runs" / arm / "seed-0/scores/answers/results.json")
        found = {(row["benchmark"], row["metric"]): row["value"] for row in result.scores}
        value[arm] = found["colours", "bleu1_sentence_word"], found["texts", "choice_accuracy_loglik"]
    row = rows["colours", "without", "colours"]
    assert (row["full"], row["other"]) == (value["full"][0], value["without-colours"][0])
    assert row["difference"]["value"] == pytest.approx(row["full"] - row["other"], abs=1e-12)
    assert row["difference"]["low"] <= row["difference"]["value"] <= row["difference"]["high"]
    assert rows["texts", "only", "colours"]["other"] == row["other"]  # alone is without the only other one
    mean = rows["colours", "without", "mean of all"]
    assert mean["full"] == pytest.approx(sum(value["full"]) / 2)
    assert (mean["difference"]["n"], row["difference"]["n"]) == (12, 6)
    table = (done / "table.md").read_text()
    assert f"{document['budget']['tokens']:,} tokens: every run trains on this number of tokens" in table
    assert table.count("\n| colours | ") == 3


def test_what_is_done_is_not_done_again_and_what_was_begun_goes_on(
    done: Path, mix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "two"
    shutil.copytree(done, out)
    killed = out / "runs/without-texts/seed-0"
    shutil.rmtree(killed / "scores")
    shutil.rmtree(checkpoint.list_checkpoints(killed)[-1])
    for file in (killed / "done.json", out / "contributions.json", out / "table.md"):
        file.unlink()
    begun = []
    train = loop.train

    def watched(mix: Path, recipe: Any, folder: Path, progress: bool) -> dict[str, Any]:
        begun.append((folder.parent.name, len(checkpoint.list_checkpoints(folder))))
        return train(mix, recipe, folder, progress)

    monkeypatch.setattr(loop, "train", watched)
    assert runs.ablate(mix, RECIPE, out, Scoring())["contributions"] == read(done)["contributions"]
    assert begun == [("without-texts", 1)]


def test_another_ablation_in_the_folder_is_refused(done: Path, mix: Path) -> None:
    with pytest.raises(UsageError, match=r"has another ablation: scoring\.limit was null, is 3; choose another --out"):
        runs.ablate(mix, RECIPE, done, Scoring(limit=3))


def test_what_cannot_be_scored_is_told_before_anything_is_trained(
    mix: Path, sample_mix: Path, sources: Path, tmp_path: Path
) -> None:
    for asked, told in (
        (Scoring(benchmarks=("colour",)), "has questions of colours, texts, not of colour"),
        (Scoring(root=tmp_path / "no"), "no is not a folder"),
        (Scoring(suite="classification"), "give the folder that contains them as --root"),
        (Scoring(split="validation"), r"the validation split of .* has no questions"),
    ):
        with pytest.raises(UsageError, match=told):
            runs.ablate(mix, RECIPE, tmp_path / "out", asked)
    leaking = Scoring(root=sources, benchmarks=("omnimedvqa",))
    with pytest.raises(UsageError, match=r"omnimedvqa: the mix trains on its test split .* --allow-leaks"):
        runs.ablate(sample_mix, tiny_recipe(), tmp_path / "out", leaking)
    with pytest.raises(UsageError, match="no 'text'"):
        runs.ablate(mix, RECIPE, tmp_path / "out", Scoring(), sources=("text",))
    assert not (tmp_path / "out").exists()


def test_the_command(done: Path, mix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["ablate", "--mixture", str(mix), "--sources", "colours", "--seeds", "x", "--out", str(done)]
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "'x' is not a list of whole numbers such as 0,1,2" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main([*arguments[:-4], "--out", str(done)])  # another recipe
    assert stop.value.code == 2
    assert "has another ablation: recipe." in capsys.readouterr().err.splitlines()[-1]

    for renamed, message in (
        (["--sets", "x"], "--sets is now called --datasets"),
        (["--suite", "vqa"], "'vqa' is now called 'answers'"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["ablate", *renamed])
        assert stop.value.code == 2
        assert message in capsys.readouterr().err


def test_the_card_of_a_run_names_the_sources_that_it_took(sample_mix: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe("run.steps=1", "language.vocab_size=600", "sources=[slake]")
    loop.train(sample_mix, recipe, tmp_path / "run", False)
    card = (find_checkpoint(tmp_path / "run") / "README.md").read_text()
    table = [line for line in card.splitlines() if line.startswith("| ")]
    assert any("slake" in line for line in table)
    assert not any("vqa_rad" in line or "pubmedqa" in line for line in table)


def test_encoders_are_transferred_as_well(mix: Path, tmp_path: Path) -> None:
    upstream.medfmc_endo(tmp_path / "sets")
    path = tmp_path / "smoke.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(asdict(tiny_transfer())))))
    asked = Scoring(
        "classification", tmp_path / "sets", datasets=("medfmc_endo",), recipe=str(path), mode="linear-probe"
    )
    recipe = tiny_recipe("run.steps=3", "sources=[colours, texts]")
    document = runs.ablate(mix, recipe, tmp_path / "out", asked, sources=("texts",), seeds=(0, 1))
    assert [(run["arm"], run["seed"]) for run in document["runs"]] == [
        (arm, seed) for seed in (0, 1) for arm in ("full", "without-colours", "without-texts")
    ]
    for row in document["contributions"]:
        assert (row["source"], row["benchmark"], row["metric"]) == ("texts", "medfmc_endo", "macro_f1")
        assert row["difference"]["value"] == pytest.approx(row["full"] - row["other"], abs=1e-12)
        assert row["sd_over_seeds"] >= 0
    scored = [
        results.read(tmp_path / f"out/runs/full/seed-{seed}/scores/classification/results.json") for seed in (0, 1)
    ]
    whole = {"metric": "macro_f1", "system": "model", "seed": None}
    means = [row["value"] for one in scored for row in one.scores if whole.items() <= row.items()]
    assert len(means) == 2
    assert document["contributions"][0]["full"] == pytest.approx(sum(means) / 2, abs=1e-12)
