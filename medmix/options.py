"""Options that several commands have, and how they are parsed."""

import os
from pathlib import Path

import click

PATH = click.Path(path_type=Path)

workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=lambda: os.cpu_count() or 1,
    show_default="one per core",
    help="Worker processes.",
)


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
