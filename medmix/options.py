"""Options that several commands have, and how they are parsed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import click

PATH = click.Path(path_type=Path)

workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=lambda: os.cpu_count() or 1,
    show_default="one per core",
    help="Worker processes.",
)

engine_option = click.option(
    "--engine",
    type=click.Choice(["processes", "ray"]),
    default="processes",
    show_default=True,
    help="What runs tasks: this machine's processes, or a Ray cluster (docs/clusters.md).",
)


@contextmanager
def chosen_engine(name: Literal["processes", "ray"], workers: int) -> Iterator[None]:
    """Let the engine of `engine_option` run the tasks of the block; Ray is imported only if it is the one.

    Raises:
        UsageError: Ray is not installed, or its cluster cannot be reached.
    """
    if name == "processes":
        yield
        return
    from medmix.curate import engine, ray_engine

    with ray_engine.connected(workers) as connected, engine.using(connected):
        yield


def comma_list(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Split a comma-separated option."""
    return tuple(filter(None, (name.strip() for name in (value or "").split(","))))


class RenamedChoice(click.Choice[str]):
    """A choice with renamed values: using an old name is an error that names the new one."""

    def __init__(self, choices: list[str], renamed: dict[str, str]) -> None:
        super().__init__(choices)
        self.renamed = renamed

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Give the value if it is one of the choices."""
        if value in self.renamed:
            self.fail(f"{value!r} is now called {self.renamed[value]!r}", param, ctx)
        return super().convert(value, param, ctx)
