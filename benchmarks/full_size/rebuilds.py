"""The builds after the first one, each with one change more than the build before it."""

import importlib
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from .sampling import Run, run

SMALL = "vqa_med_2019"
"""The source that is removed and added."""

_PACKAGES = ("curate", "evaluate", "train", "recipes", "mixtures", "cards")


class Builds:
    """The builds of one mix: the command, and what has changed so far.

    Attributes:
        root, out: the tree and the mix.
        folder: for changed copies.
        workers: processes.
    """

    def __init__(self, root: Path, out: Path, folder: Path, workers: int) -> None:
        self._root, self._out, self._folder = root, out, folder
        self._workers = workers
        self._mixture = "v1"
        self._environment: Mapping[str, str] = {}

    def build(self, *options: str) -> Run:
        """Run the command with everything that has changed so far."""
        command = [sys.executable, "-m", "medmix", "build", "--mixture", self._mixture, "--root", str(self._root)]
        command += ["--out", str(self._out), "--workers", str(self._workers), *options]
        return run(command, self._folder, self._environment)

    def again(self) -> Iterator[tuple[str, Run]]:
        """Give each change and its build."""
        yield "nothing", self.build()
        self._change_card()
        yield "a word in a card", self.build()
        self._change_threshold()
        yield "the threshold of text duplicates", self.build()
        yield "a source removed", self.build("--only", ",".join(_sources_without(SMALL)))
        yield "the source added", self.build()
        self._change_file()
        yield "a word in an upstream file", self.build()

    def _change_card(self) -> None:
        """Put a copy of the package with another card before the installed one."""
        copy = self._folder / "package" / "medmix"
        shutil.copytree(_place("medmix"), copy, ignore=shutil.ignore_patterns("__pycache__", *_PACKAGES))
        for name in _PACKAGES:
            shutil.copytree(_place(f"medmix.{name}"), copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        card = copy / "cards" / "README.md.jinja"
        text = card.read_text(encoding="utf-8")
        card.write_text(f"{text}\nOne sentence more.\n", encoding="utf-8")
        self._environment = {"PYTHONPATH": str(copy.parent)}

    def _change_threshold(self) -> None:
        path = self._folder / "mixture" / "v1.yaml"
        path.parent.mkdir()
        text = (files("medmix.mixtures") / "v1.yaml").read_text(encoding="utf-8")
        path.write_text(f"{text}\nduplicates:\n  text: 0.95\n", encoding="utf-8")
        self._mixture = str(path)

    def _change_file(self) -> None:
        path = self._root / "roco/data/validation/radiology/captions.txt"
        first, *rest = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join([first.replace("\n", " Again.\n"), *rest]), encoding="utf-8")


def _place(package: str) -> Path:
    return Path(importlib.import_module(package).__path__[0])


def _sources_without(source: str) -> Sequence[str]:
    from medmix.curate.mixtures import load

    return [name for name in load("v1").sources if name != source]
