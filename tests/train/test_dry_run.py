"""`medmix train --dry-run`: a plan for a device that is not here, from shapes, a config and the text of a mix."""

import json
import re
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig

from medmix.cli import main
from medmix.curate.errors import UsageError
from medmix.train import device
from medmix.train.data.tokenizer import train_bpe
from medmix.train.model.vision_language import VisionLanguageModel
from medmix.train.recipe import Language

SPECIAL = ("language.bos_token=<s>", "language.eos_token=</s>", "language.pad_token=<pad>")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder; a model that is not on the meta device fails the test."""
    build = VisionLanguageModel.__init__

    def on_meta(self: VisionLanguageModel, *arguments: object) -> None:
        assert torch.get_default_device().type == "meta"
        build(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(VisionLanguageModel, "__init__", on_meta)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


def seven_b(folder: Path) -> None:
    """Write LLaMA-7B's config and a small tokenizer, without weights, where the recipe expects them."""
    shape = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32}
    LlamaConfig(vocab_size=32000, **shape).save_pretrained(folder / "weights/PMC_LLAMA_7B")
    train_bpe(["a question"], Language(vocab_size=400)).save_pretrained(folder / "weights/PMC_LLAMA_7B")


def test_seven_billion_on_sixteen_h100(here: Path, mix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seven_b(here)
    before = sorted(path for folder in (here, mix) for path in folder.rglob("*"))
    command = ["train", "--mixture", mix, "--dry-run", "--device", "H100 80GB", "--nodes", 2, "--gpus-per-node", 8]
    settings = ["--set", "language.pad_token=<pad>", "--set", "run.compile=true"]
    assert run(*command, *settings) == 0
    out = capsys.readouterr().out
    steps = -(-15 * 36 // 64)
    assert f"steps: {steps} of 64 records" in out
    assert "parameters: 6,8" in out
    assert re.search(r"device: 16 x h100-80gb, 989 TFLOP/s \(data sheet\), about \d+\.\d\d of 78\.6 GiB, about", out)
    assert "measured: lengths of 36 of 36 records; from shapes: operations and memory; data sheet: the peak; ass" in out
    assert run(*command, *settings, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["steps"], found["devices"], found["peak_flops"], found["fits"]) == (steps, 16, 989e12, True)
    assert found["records"] == 540
    assert found["hours"] == pytest.approx(found["flops"] / (16 * 989e12 * found["mfu"]) / 3600)
    assert found["tokens"] * 4 * 6.4e9 < found["flops"] < found["tokens"] * 4 * 10e9
    assert 12.5 * device.GIB < found["memory"] < 60 * device.GIB
    assert sorted(path for folder in (here, mix) for path in folder.rglob("*")) == before


def test_missing_weights_name_the_small_files(here: Path, mix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("train", "--mixture", mix, "--dry-run", "--device", "h100-80gb")
    assert run(*command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "has no config.json and no tokenizer, which give shape and lengths; weights are not needed, type: " in line
    assert "hf download chaoyi-wu/PMC_LLAMA_7B --include '*.json' --include '*.model' --local-dir weights/PMC_" in line
    shape = "{hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32, num_attention_heads: 32}"
    described = ("language.weights=null", f"language.shape={shape}", "language.vocab_size=400", SPECIAL[2])
    assert run(*command, *(part for setting in described for part in ("--set", setting))) == 0
    assert "36 records with a vocabulary trained on the mix; " in capsys.readouterr().out


def test_a_device_that_is_too_small_prints_the_plan_and_what_fits(
    here: Path, mix: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seven_b(here)
    settings = ("--set", "language.pad_token=<pad>")
    assert run("train", "--mixture", mix, "--dry-run", "--device", "rtx-4090", *settings) == 2
    said = capsys.readouterr()
    assert "device: 1 x rtx-4090-24gb" in said.out
    assert re.search(
        r"openmedq-7b needs about \d+\.\d GiB on a rtx-4090-24gb with 23\.0 GiB; what would fit: ", said.err
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("h100-81gb", "did you mean h100-80gb or h100-nvl-94gb or h100-pcie-80gb?"),
        ("a100", "did you mean a100-80gb or a100-40gb?"),
        ("rxt-4090-24gb", "did you mean 'rtx-4090-24gb'?"),
        ("", "is not known; known are b200, "),
    ],
)
def test_an_unknown_device_names_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        device.find_device(name)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_without_its_size_is_enough_where_there_is_one() -> None:
    assert device.find_device("H100 PCIe").peak.flops == 756e12
    assert device.find_device("h100_nvl").peak.flops == 835e12
    assert device.find_device("l4").name == "l4-24gb"


@pytest.mark.parametrize(
    ("name", "flops"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H100 NVL", 835e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA H200 NVL", 835e12),
        ("NVIDIA GH200 480GB", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA A10G", 70e12),
        ("NVIDIA RTX A6000", 155e12),
        ("Quadro", None),
    ],
)
def test_boards_of_one_chip_differ(name: str, flops: float | None) -> None:
    assert device.listed_flops(name) == flops


def test_plan_options_need_a_dry_run(here: Path, mix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", "--mixture", mix, "--recipe", "smoke-cpu", "--nodes", 2) == 2
    assert "--device, --nodes and --gpus-per-node are for --dry-run" in capsys.readouterr().err
    assert run("train", "--mixture", mix, "--dry-run") == 2
    assert "needs a GPU, and PyTorch finds none here; name one: --device h100-80gb" in capsys.readouterr().err
    assert list(here.iterdir()) == []
