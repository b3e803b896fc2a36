"""Parts of a build: which tasks a part does, and the file that keeps parts of different builds apart.

Parts know nothing of each other. They share the work folder, where each task writes one file whose name says what is
in it, so a part may die, be repeated, or run twice at the same time.
"""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar, get_args

import medmix

from .code_digest import code_digest
from .errors import UsageError
from .shards import unique_name, write_text

Pass: TypeAlias = Literal["scan", "equal", "compare", "write"]

PASSES: tuple[Pass, ...] = get_args(Pass)
"""The passes in their order: all parts of one end before the next one begins."""

NAME = "parts.json"

Task = TypeVar("Task")


@dataclass(frozen=True, slots=True)
class Part:
    """The share `number` of `count`, from 1 on, of the tasks of pass `of`."""

    number: int
    count: int
    of: Pass

    def __str__(self) -> str:
        """Give the part as people write it."""
        return f"part {self.number}/{self.count} of pass {self.of}"

    def share(self, tasks: Sequence[Task], first: int = 0) -> list[Task]:
        """Give every `count`-th task, so that those of a large source are divided; `first` is the first's number."""
        return list(tasks[(self.number - 1 - first) % self.count :: self.count])


def parse(text: str, of: Pass) -> Part:
    """Read a part from `I/N`.

    Raises:
        UsageError: it has another form, or I is not one of 1 to N.
    """
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--part {text}: write I/N with I from 1 to N, such as 2/5")
    return Part(int(match[1]), int(match[2]), of)


def identity(mixture: str, settings: str) -> dict[str, str]:
    """Give what all parts in one folder have in common; `settings` is a digest of settings and libraries."""
    return {"medmix": medmix.__version__, "code": code_digest(".")[:12], "mixture": mixture, "settings": settings[:12]}


def claim(work: Path, mine: dict[str, str]) -> None:
    """Write the identity of the parts in a work folder, or compare it with what the first part wrote.

    Raises:
        UsageError: the folder has parts of another build, or the file is damaged.
    """
    path = work / NAME
    if not path.exists():
        draft = work / f".{NAME}.{unique_name()}.tmp"
        write_text(draft, json.dumps(mine, indent=2) + "\n")
        try:
            os.link(draft, path)  # unlike a rename it fails if another part was first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        theirs = _describe(found)
    except (ValueError, TypeError, KeyError):
        raise UsageError(f"{path}: cannot be read; remove it when no part runs") from None
    if found != mine:
        remedy = f"choose another --out, or remove {path} when no part runs"
        raise UsageError(f"{path}: the parts in this folder are of {theirs}; this is {_describe(mine)}; {remedy}")


def _describe(identity: dict[str, str]) -> str:
    mixture = f"mixture {identity['mixture']} (settings and libraries {identity['settings']})"
    return f"{mixture} by medmix {identity['medmix']} (code {identity['code']})"


def end(work: Path) -> None:
    """Forget the parts in a work folder: the build is finished, and others may begin."""
    (work / NAME).unlink(missing_ok=True)
