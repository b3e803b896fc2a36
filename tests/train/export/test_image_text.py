"""A run of a transformers model exports as the family's own folder."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from medmix.cli import main
from medmix.curate.errors import WorkError
from medmix.evaluate.answers.image_text import renderer_of
from medmix.train.export import image_text
from medmix.train.export.image_text import export
from medmix.train.run import checkpoint
from medmix.train.run.state import find_checkpoint

from ..family_runs import NAMES, ROWS, own_inputs

Loaded = Any


@pytest.mark.parametrize("name", NAMES)
def test_export_writes_the_familys_own_folder(name: str, folder_of: Any, run_of: Any, tmp_path: Path) -> None:
    assert export(find_checkpoint(run_of(name)), tmp_path / "model") < 1e-4
    loaded: Loaded = checkpoint.load(run_of(name))
    before = AutoModelForImageTextToText.from_pretrained(folder_of(name))
    theirs, processor = (
        AutoModelForImageTextToText.from_pretrained(tmp_path / "model"),
        AutoProcessor.from_pretrained(tmp_path / "model"),
    )
    assert type(theirs) is type(before) and processor.tokenizer.padding_side == "left"
    for row in ROWS:
        own = own_inputs(processor, row, renderer_of(loaded))
        with torch.no_grad():
            ours, exported, base = (m(**own).logits for m in (loaded.model.base, theirs, before))
        assert torch.allclose(ours, exported, atol=1e-4)
        assert not torch.allclose(ours, base, atol=1e-3)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "| model | from owner/family |" in card and "layout of LLaVA" not in card


def test_the_commands_export_and_eval_take_such_a_run(run_of: Any, tmp_path: Path) -> None:
    run = str(run_of("internvl"))
    for arguments in (
        ["export", run, "--out", str(tmp_path / "model")],
        ["eval", run, "--out", str(tmp_path / "eval"), "--limit", "4"],
    ):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 0
    assert (tmp_path / "model" / "chat_template.jinja").exists()
    assert (tmp_path / "eval" / "results.json").exists()


def test_an_export_that_differs_is_refused(run_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(AutoModelForImageTextToText):
        @classmethod
        def from_pretrained(cls, *arguments: Any, **options: Any) -> Any:
            model, info = AutoModelForImageTextToText.from_pretrained(*arguments, **options)
            with torch.no_grad():
                next(model.parameters()).add_(1)
            return model, info

    monkeypatch.setattr(image_text, "AutoModelForImageTextToText", Other)
    with pytest.raises(WorkError, match=r"^the exported folder has other weights .*; nothing was written$"):
        export(find_checkpoint(run_of("llava")), tmp_path / "model")
    assert not (tmp_path / "model").exists()
