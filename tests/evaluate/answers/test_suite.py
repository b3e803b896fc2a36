import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from medmix.curate.errors import UsageError
from medmix.evaluate.answers import suite
from medmix.evaluate.answers.loading import EvalOptions
from medmix.evaluate.answers.predictions import PredictionWriter
from medmix.train.data import stream
from medmix.train.run import checkpoint, loop
from medmix.train.run.state import find_checkpoint

from ...train.conftest import records, tiny_recipe, write_mix
from ..conftest import lines, value

FILES = ("predictions.jsonl", "results.json", "table.md")


def test_evaluate_writes_predictions_scores_and_table(mix: Path, run: Path, tmp_path: Path) -> None:
    results = suite.evaluate(run, tmp_path)
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert (results["format"], results["suite"]) == (2, "answers")
    assert results.keys() == {"format", "suite", "model", "mix", "protocol", "versions", "scores", "notes", "files"}
    assert value(results, "colours", "all", "exact_match") == 1.0
    assert value(results, "colours", "all", "exact_match", "blank_image") <= 0.5
    assert value(results, "colours", "all", "exact_match", "shuffled_images") < 1.0
    assert value(results, "colours", "all", "exact_match", "majority_answer") == pytest.approx(1 / 3)
    assert value(results, "colours", "all", "exact_match", "always_yes") == 0.0
    assert value(results, "texts", "all", "choice_accuracy_generated", "majority_answer") == 0.5
    assert results["model"]["digest"] == checkpoint.digest(find_checkpoint(run))
    assert results["model"]["mix_digest"] == results["mix"]["digest"] == stream.mix_digest(mix)
    assert results["versions"].keys() >= {"medmix", "torch", "transformers", "peft", "timm", "nltk", "sacrebleu"}
    assert results["notes"] == []
    assert {name: found["text"] for name, found in results["mix"]["contamination"].items()} == {
        "colours": "not checked",
        "texts": "not checked",
    }
    said = lines(tmp_path)
    assert [line["system"] for line in said[:12]] == ["model"] * 12  # captions ask nothing
    assert len({(line["system"], line["id"]) for line in said}) == len(said)
    gold = {line["id"]: line["references"] for line in said}
    assert gold["texts/test-1"] == ["yes"]  # neither the letter nor the explanation on the next line
    texts = next(line for line in said if line["benchmark"] == "texts")
    assert (texts["options"], len(texts["loglik"])) == (["A. yes", "B. no"], 2)
    assert (
        "| colours | all | 6 | 6 | exact_match | 1.000 [1.000, 1.000] | 0.333 |" in (tmp_path / "table.md").read_text()
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*FILES, "run.json"])


def test_the_shuffled_system_is_shown_another_image(run: Path, tmp_path: Path) -> None:
    suite.evaluate(run, tmp_path, EvalOptions(seed=1))
    said = lines(tmp_path)
    model = {line["id"]: line["prediction"] for line in said if line["system"] == "model"}
    shuffled = {line["id"]: line for line in said if line["system"] == "shuffled_images"}
    assert shuffled.keys() == {id_ for id_ in model if id_.startswith("colours/")}
    assert sorted(line["prediction"] for line in shuffled.values()) == sorted(
        model[id_]
        for id_ in shuffled  # the colours change places
    )
    assert any(line["prediction"] != model[id_] for id_, line in shuffled.items())
    assert {line["seed"] for line in shuffled.values()} == {1}


@pytest.fixture(scope="module")
def whole(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run that was not stopped, with batches of five."""
    folder = tmp_path_factory.mktemp("eval") / "whole"
    suite.evaluate(run, folder)
    return folder


@pytest.mark.parametrize("kept", [0, 1, 300, 1_500, 4_000, -1])
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(run: Path, whole: Path, tmp_path: Path, kept: int) -> None:
    tmp_path = tmp_path / "eval"
    shutil.copytree(whole, tmp_path)
    for name in ("results.json", "table.md"):
        (tmp_path / name).unlink()
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(path.read_bytes()[:kept])
    suite.evaluate(run, tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


def test_a_run_is_stopped_between_batches_and_keeps_what_it_has(
    run: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, calls = PredictionWriter.append, []

    def stopping(writer: PredictionWriter, some: list[dict[str, object]]) -> None:
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(len(some))
        append(writer, some)

    monkeypatch.setattr(PredictionWriter, "append", stopping)
    with pytest.raises(KeyboardInterrupt):
        suite.evaluate(run, tmp_path)
    assert len(lines(tmp_path)) == sum(calls) > 0
    assert not (tmp_path / "results.json").exists()
    monkeypatch.undo()
    suite.evaluate(run, tmp_path)
    assert (tmp_path / "predictions.jsonl").read_bytes() == (whole / "predictions.jsonl").read_bytes()


def test_predictions_of_another_run_are_refused(run: Path, whole: Path, tmp_path: Path) -> None:
    tmp_path = tmp_path / "eval"
    shutil.copytree(whole, tmp_path)
    with pytest.raises(
        UsageError, match=r"is of another run: protocol\.batch_size was 5, is 3; choose another --out, or start"
    ):
        suite.evaluate(run, tmp_path, EvalOptions(batch_size=3))
    with pytest.raises(UsageError, match=r"protocol\.limit was null, is 4; questions was "):
        suite.evaluate(run, tmp_path, EvalOptions(limit=4))
    suite.evaluate(run, tmp_path, EvalOptions(limit=4, overwrite=True))
    assert {line["benchmark"] for line in lines(tmp_path)} == {"colours", "texts"}
    assert sum(line["system"] == "model" for line in lines(tmp_path)) == 4


def test_batches_of_any_size_say_the_same(run: Path, whole: Path, tmp_path: Path) -> None:
    suite.evaluate(run, tmp_path, EvalOptions(batch_size=1))

    def said(folder: Path) -> dict[tuple[str, str], tuple[str, list[float] | None]]:
        return {(line["system"], line["id"]): (line["prediction"], line.get("loglik")) for line in lines(folder)}

    one, many = said(tmp_path), said(whole)
    assert one.keys() == many.keys()
    for key, (prediction, loglik) in many.items():
        assert one[key][0] == prediction
        assert one[key][1] == pytest.approx(loglik, abs=1e-4)


def test_what_is_right_does_not_reach_what_is_said(run: Path, whole: Path, tmp_path: Path) -> None:
    rows = records(6, "test")
    for row in rows:
        row["messages"][1]["content"][0]["text"] = "something else\nbecause"
        row["answer"], row["answer_type"], row["choices"] = "something else", "closed", []
    mix = write_mix(tmp_path / "mix", {"test": rows, "train": records(1, "train")})
    results = suite.evaluate(run, tmp_path / "eval", EvalOptions(mix=mix))
    assert value(results, "colours", "all", "exact_match") == 0.0
    said = {line["id"]: line["prediction"] for line in lines(tmp_path / "eval") if line["system"] == "model"}
    assert said == {line["id"]: line["prediction"] for line in lines(whole) if line["system"] == "model"}


def test_the_benchmarks_of_a_root(sample_run: Path, sources: Path, tmp_path: Path) -> None:
    asked = EvalOptions(root=sources, benchmarks=("vqa_rad", "slake", "vqa_med_2019", "pubmedqa", "pmc_vqa"))
    results = suite.evaluate(sample_run, tmp_path, asked)
    found = {(row["benchmark"], row["subset"]) for row in results["scores"]}
    assert found >= {("slake", "en/open"), ("slake", "zh/closed"), ("pmc_vqa", "test_clean"), ("vqa_rad", "closed")}
    assert ("slake", "all") not in found
    systems = {row["system"] for row in results["scores"] if row["benchmark"] == "slake"}
    assert systems == {"model", "blank_image", "shuffled_images", "majority_answer", "always_yes"}
    assert any(row["set"] == "vqa_rad test" for row in results["mix"]["leaks"])
    said = {name: found["text"] for name, found in results["mix"]["contamination"].items()}
    named, others = ("vqa_rad", "slake", "pubmedqa"), ("vqa_med_2019", "pmc_vqa")
    assert said == dict.fromkeys(named, "clean") | dict.fromkeys(others, "not checked")
    assert "\n- slake: clean\n" in (tmp_path / "table.md").read_text()
    assert value(results, "pubmedqa", "all", "choice_accuracy_generated", "always_yes") > 0


def test_a_benchmark_that_was_trained_on_is_refused_unless_told_otherwise(
    sample_run: Path, sources: Path, tmp_path: Path
) -> None:
    asked = EvalOptions(root=sources, benchmarks=("omnimedvqa",), skip_broken=True, controls=False)
    with pytest.raises(UsageError) as refused:
        suite.evaluate(sample_run, tmp_path, asked)
    assert str(refused.value).startswith("omnimedvqa: the mix trains on its test split (splits: {test: train}): ")
    assert str(refused.value).endswith(" records of it. To score it anyway: --allow-leaks")
    results = suite.evaluate(sample_run, tmp_path, replace(asked, allow_leaks=True))
    assert results["notes"][0].startswith("leaks, scored anyway: omnimedvqa: the mix trains on its test split")
    assert value(results, "omnimedvqa", "all", "choice_accuracy_loglik") >= 0.0


def test_a_benchmark_that_leaks_is_left_out_of_all_and_that_is_said(
    sample_run: Path, sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "sources"
    for name in ("omnimedvqa", "pathvqa"):
        shutil.copytree(sources / name, root / name)
    results = suite.evaluate(sample_run, tmp_path / "eval", EvalOptions(root=root, controls=False))
    assert {row["benchmark"] for row in results["scores"]} == {"pathvqa"}
    assert (
        "note: not scored, because it leaks (--allow-leaks): omnimedvqa: the mix trains on" in capsys.readouterr().err
    )


def test_the_mix_of_the_training_may_have_moved_but_must_be_the_same(
    sample_run: Path, sample_mix: Path, mix: Path, sources: Path, tmp_path: Path
) -> None:
    asked = EvalOptions(root=sources, benchmarks=("vqa_rad",), controls=False, limit=3)
    moved = tmp_path / "moved"
    shutil.copytree(sample_mix, moved, ignore=shutil.ignore_patterns(".work"))
    assert suite.evaluate(sample_run, tmp_path / "1", replace(asked, train_dataset=moved))["mix"]["path"] == str(moved)
    with pytest.raises(UsageError, match="is not the mix that the checkpoint was trained on"):
        suite.evaluate(sample_run, tmp_path / "2", replace(asked, train_dataset=mix))
    gone = suite.evaluate(sample_run, tmp_path / "3", replace(asked, train_dataset=tmp_path / "nowhere"))
    assert gone["mix"] is None
    assert gone["notes"][0].startswith("leaks are unknown: the mix of the training is no longer at")


def test_no_questions_no_checkpoint_no_mix(run: Path, tmp_path: Path) -> None:
    mix = write_mix(tmp_path / "mix", {"train": records(1, "train")})
    with pytest.raises(UsageError, match="has no questions in its test split; choose another split or mix"):
        suite.evaluate(run, tmp_path / "eval", EvalOptions(mix=mix))
    with pytest.raises(UsageError, match=r"has colours, pictures, texts: no 'colour' \(did you mean 'colours'\?\)"):
        suite.evaluate(run, tmp_path / "eval", EvalOptions(benchmarks=("colour",)))
    for other in (EvalOptions(root=tmp_path, mix=mix), EvalOptions(root=tmp_path, split="validation")):
        with pytest.raises(UsageError, match="--root takes the benchmarks' own splits; leave out --mix and --split"):
            suite.evaluate(run, tmp_path / "eval", other)
    with pytest.raises(UsageError, match="has no checkpoint; type: medmix train"):
        suite.evaluate(tmp_path / "nowhere", tmp_path / "eval", EvalOptions(mix=mix))
    with pytest.raises(UsageError, match="medmix build"):
        suite.evaluate(run, tmp_path / "eval", EvalOptions(mix=tmp_path / "nowhere"))


def test_a_broken_checkpoint_is_a_usage_error(mix: Path, tmp_path: Path) -> None:
    loop.train(mix, tiny_recipe("run.steps=1"), tmp_path / "run", False)
    folder = find_checkpoint(tmp_path / "run")
    tower = folder / "tower.safetensors"
    tower.write_bytes(tower.read_bytes()[:100])
    with pytest.raises(UsageError, match="cannot be read as a checkpoint"):
        checkpoint.load(folder)
    (folder / "checkpoint.json").write_text("{}")
    with pytest.raises(UsageError, match="cannot be read as a checkpoint"):
        checkpoint.load(folder)
