"""The suite from a folder of sets to results: what is in them, what is kept, what stays the same when it is killed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from sklearn.metrics import f1_score, roc_auc_score

from medmix.curate.errors import UsageError
from medmix.evaluate.classification import finetune, image_cache, runs
from medmix.evaluate.classification.suite import evaluate

from . import upstream
from .conftest import TINY

ROW = {"benchmark", "subset", "system", "metric", "value", "low", "high", "n", "groups", "seed"}


def run(out: Path, root: Path, *sets: str, more: tuple[str, ...] = (), **options: Any) -> dict[str, Any]:
    found = evaluate(["scratch"], out, root=root, datasets=sets, recipe="smoke", overrides=(*TINY, *more), **options)
    return found["scratch"]


def value(results: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    (row,) = (row for row in results["scores"] if wanted.items() <= row.items())
    return row


@pytest.fixture(scope="module")
def own_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a set of one's own and its YAML: two classes, some images twice."""
    root = tmp_path_factory.mktemp("own")
    upstream.class_folders(root / "mine", ("cat", "dog"), 20)
    for number in (1, 2, 3):
        copy = (root / "mine" / "cat" / f"cat ({number}).png").read_bytes()
        (root / "mine" / "cat" / f"copy of cat ({number}).png").write_bytes(copy)
    (root / "mine.yaml").write_text(
        "id: mine\ntitle: Mine\nlabels: single\nclasses: [cat, dog]\nreader:\n  folders: {path: '{class}'}\n"
        "splits: {group_by: copies, copies: exact, test_fraction: 0.4, validation_fraction: 0.2}\n"
    )
    return root


@pytest.fixture(scope="module")
def own(own_set: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Its results."""
    out = tmp_path_factory.mktemp("out")
    return out, run(out, own_set, str(own_set / "mine.yaml"))


def test_a_set_of_ones_own_is_learnt(own: tuple[Path, dict[str, Any]]) -> None:
    _, results = own
    row = value(results, metric="macro_f1", subset="all", system="model", seed=None)
    assert row.keys() == ROW
    assert row["value"] > 0.9
    assert row["n"] == 17
    assert value(results, system="majority_class")["value"] < 0.5


def test_results_are_in_the_form_that_all_suites_share(own: tuple[Path, dict[str, Any]]) -> None:
    out, results = own
    assert json.loads((out / "results.json").read_text()) == results
    assert results.keys() == {"format", "suite", "model", "mix", "protocol", "versions", "scores", "notes", "files"}
    assert (results["format"], results["suite"], results["mix"]) == (2, "classification", None)
    assert results["model"]["kind"] == "encoder"
    assert results["protocol"]["recipe"]["epochs"] == 8
    assert results["protocol"]["early_stopping"] is False
    mine = results["protocol"]["datasets"]["mine"]
    assert mine["images"] == {"train": 21, "validation": 5, "test": 17}
    assert mine["copies"] == 3
    assert mine["runs"][0] == {"seed": 0, "n_train": 21, "n_validation": 5, "thresholds": None, "c": None}
    assert (out / "table.md").read_text().splitlines()[4].startswith("| mine | 17 | ")


def test_scores_can_be_computed_again_from_the_predictions(own: tuple[Path, dict[str, Any]]) -> None:
    out, results = own
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert len(lines) == 2 * 17
    assert lines[0].keys() == {"id", "benchmark", "group", "system", "seed", "labels", "predicted", "scores"}
    for seed in (0, 1):
        mine = [line for line in lines if line["seed"] == seed]
        right, said = [line["labels"][0] for line in mine], [line["predicted"][0] for line in mine]
        expected = f1_score(right, said, average="macro")
        assert value(results, metric="macro_f1", subset="all", seed=seed)["value"] == pytest.approx(expected, abs=1e-12)
        area = roc_auc_score([name == "dog" for name in right], [line["scores"]["dog"] for line in mine])
        assert value(results, metric="auroc", subset="all", seed=seed)["value"] == pytest.approx(area, abs=1e-9)


def test_mean_and_spread_are_those_of_the_seeds(own: tuple[Path, dict[str, Any]]) -> None:
    _, results = own
    each = [value(results, metric="macro_f1", subset="all", seed=seed)["value"] for seed in (0, 1)]
    mean = value(results, metric="macro_f1", subset="all", system="model", seed=None)["value"]
    assert mean == pytest.approx(np.mean(each), abs=1e-12)
    assert value(results, metric="macro_f1_sd_over_seeds")["value"] == pytest.approx(np.std(each, ddof=1), abs=1e-12)


def test_what_is_done_is_not_done_again(
    own: tuple[Path, dict[str, Any]], own_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, results = own
    for module, name in ((finetune, "fine_tune"), (image_cache, "_decode")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("done again"))
    assert run(out, own_set, str(own_set / "mine.yaml")) == results


def test_another_recipe_is_run(own: tuple[Path, dict[str, Any]], own_set: Path, tmp_path: Path, capsys: Any) -> None:
    out, _ = own
    for file in (out / "runs").iterdir():
        (tmp_path / "runs").mkdir(exist_ok=True)
        (tmp_path / "runs" / file.name).write_bytes(file.read_bytes())
    results = run(tmp_path, own_set, str(own_set / "mine.yaml"), more=("epochs=2",), seeds=[0], cache=out / "cache")
    assert results["protocol"]["recipe"]["epochs"] == 2
    assert "of other images, encoder or recipe; running again" in capsys.readouterr().err


def test_a_cut_file_of_a_run_is_made_again(
    own: tuple[Path, dict[str, Any]], own_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, results = own
    for file in (out / "runs").iterdir():
        (tmp_path / "runs").mkdir(exist_ok=True)
        data = file.read_bytes()
        (tmp_path / "runs" / file.name).write_bytes(data[: len(data) // 2] if "seed-1" in file.name else data)
    again = run(tmp_path, own_set, str(own_set / "mine.yaml"), cache=out / "cache")
    assert again["scores"] == results["scores"]
    assert "seed-1.npz: cannot be read; running again" in capsys.readouterr().err


def test_killed_within_a_run_it_gives_the_same_numbers(
    own: tuple[Path, dict[str, Any]], own_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, results = own
    monkeypatch.setattr(finetune, "SECONDS_BETWEEN_SAVES", 0.0)
    step, count = finetune.train_step, 0

    def killed(*arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == 12:  # in the fourth epoch of three steps
            raise KeyboardInterrupt
        step(*arguments)

    monkeypatch.setattr(finetune, "train_step", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, own_set, str(own_set / "mine.yaml"), cache=out / "cache")
    assert [path.suffix for path in (tmp_path / "runs").iterdir()] == [".pt"]
    monkeypatch.setattr(finetune, "train_step", step)
    assert run(tmp_path, own_set, str(own_set / "mine.yaml"), cache=out / "cache")["scores"] == results["scores"]
    assert {path.suffix for path in (tmp_path / "runs").iterdir()} == {".npz"}


def test_several_encoders_get_a_folder_each_and_one_table(own_set: Path, tmp_path: Path) -> None:
    tower = timm.create_model(
        "vit_base_patch16_224", num_classes=0, img_size=32, patch_size=16, embed_dim=64, depth=1, num_heads=1
    )
    torch.save(tower.state_dict(), tmp_path / "tower.pt")
    names = ["scratch", str(tmp_path / "tower.pt")]
    found = evaluate(
        names,
        tmp_path / "out",
        root=own_set,
        datasets=[str(own_set / "mine.yaml")],
        recipe="smoke",
        overrides=(*TINY, "epochs=2", "seeds=[0]"),
    )
    assert list(found) == names
    folders = [path for path in (tmp_path / "out").iterdir() if (path / "results.json").is_file()]
    assert sorted(json.loads((path / "results.json").read_text())["model"]["name"] for path in folders) == sorted(names)
    head = (tmp_path / "out" / "table.md").read_text().splitlines()[2]
    assert head == f"| dataset | test images | units | scratch | {names[1]} | majority class |"


def test_an_encoder_that_does_not_fit_stops_all_before_work(own_set: Path, tmp_path: Path) -> None:
    tower = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=32)
    torch.save(tower.state_dict(), tmp_path / "tower.pt")
    name = f"timm:vit_base_patch16_224={tmp_path / 'tower.pt'}"
    with pytest.raises(UsageError, match="does not fit the tower"):
        evaluate(
            ["scratch", name], tmp_path / "out", root=own_set, datasets=[str(own_set / "mine.yaml")], recipe="smoke"
        )
    assert not (tmp_path / "out").exists()


def test_multi_label_sets_cut_by_thresholds_of_validation(sets_root: Path, tmp_path: Path) -> None:
    results = run(tmp_path, sets_root, "medfmc_endo", more=("epochs=4", "seeds=[0]"))
    mine = results["protocol"]["datasets"]["medfmc_endo"]
    assert mine["excluded_classes"] == ["tumor"]
    assert "medfmc_endo: no positive in the test, so excluded from every mean: tumor" in results["notes"]
    assert not [row for row in results["scores"] if row["subset"] == "class/tumor"]
    assert len([row for row in results["scores"] if row["metric"] == "f1"]) == 3
    thresholds = mine["runs"][0]["thresholds"]
    lines = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    for line in lines:
        said = [name for name, cut in zip(mine["classes"], thresholds, strict=True) if line["scores"][name] >= cut]
        assert line["predicted"] == said
    three = mine["classes"][:3]
    right = [[name in line["labels"] for name in three] for line in lines]
    said_ = [[name in line["predicted"] for name in three] for line in lines]
    expected = f1_score(right, said_, average="macro", zero_division=0)
    found = value(results, metric="macro_f1", subset="all", system="model", seed=None)["value"]
    assert found == pytest.approx(expected, abs=1e-12)
    assert value(results, system="all_classes")["value"] > 0


def test_a_linear_probe_takes_features_once(own_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = run(tmp_path, own_set, str(own_set / "mine.yaml"), mode="linear-probe", more=("seeds=[0]",))
    assert value(results, metric="macro_f1", subset="all", system="model", seed=None)["value"] > 0.6
    assert results["protocol"]["datasets"]["mine"]["runs"][0]["c"] in (0.01, 1.0)
    assert "scikit-learn" in results["versions"]
    assert len(list((tmp_path / "cache" / "mine").glob("features-*.npy"))) == 1
    monkeypatch.setattr(runs.features, "_extract", lambda *_: pytest.fail("taken again"))
    run(tmp_path, own_set, str(own_set / "mine.yaml"), mode="linear-probe", shots=2, more=("seeds=[0]",))


def test_few_shots_train_and_validate_on_so_many_units(own_set: Path, tmp_path: Path) -> None:
    results = run(tmp_path, own_set, str(own_set / "mine.yaml"), shots=2, more=("epochs=2",), seeds=[0])
    only = results["protocol"]["datasets"]["mine"]["runs"][0]
    assert 4 <= only["n_train"] <= 6  # two units of each class, one of which may be an image and its copy
    assert only["n_validation"] >= 2
    assert results["protocol"]["recipe"]["shots"] == 2
    assert not [note for note in results["notes"] if "shots" in note]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["mine-finetune-2-shots-seed-0.npz"]


def test_a_class_with_fewer_units_than_shots_is_said(own_set: Path, tmp_path: Path) -> None:
    results = run(tmp_path, own_set, str(own_set / "mine.yaml"), shots=99, more=("epochs=2",), seeds=[0])
    assert results["notes"][-1] == "mine: dog has 10 training units, fewer than the 99 shots requested"


def test_a_test_that_leaks_is_refused_when_told_so(sets_root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="medfmc_colon: 2 images of train or validation share 2 units"):
        run(tmp_path, sets_root, "medfmc_colon", leaks="refuse")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "fine-tune"}, r"mode 'fine-tune' is none of finetune, linear-probe \(did you mean 'finetune'\?\)"),
        ({"more": ("epoch=3",)}, r"smoke.yaml: epoch: unknown key \(did you mean 'epochs'\?\)"),
        ({"more": ("augment.crop=2",)}, r"augment.crop: must be above 0 and at most 1"),
        ({"seeds": []}, r"seeds: must be one or more"),
        ({"shots": 0}, r"shots: must be 1 or more"),
    ],
)
def test_what_may_not_be_asked(options: dict[str, Any], message: str, own_set: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        run(tmp_path / "out", own_set, str(own_set / "mine.yaml"), **options)
    assert not (tmp_path / "out").exists()


def test_a_set_that_is_not_there_is_said_before_work(own_set: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="busi is missing; get Dataset_BUSI"):
        run(tmp_path / "out", own_set, str(own_set / "mine.yaml"), "busi")
    with pytest.raises(UsageError, match=r"nowhere is missing; give the folder with one folder per dataset"):
        run(tmp_path / "out", own_set / "nowhere", "busi")
