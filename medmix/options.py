"""How options are read that several commands have."""

import click


def comma_list(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Split a comma-separated option."""
    return tuple(filter(None, (name.strip() for name in (value or "").split(","))))


class RenamedChoice(click.Choice[str]):
    """A choice some of whose values had another name, which is an error that names the new one."""

    def __init__(self, choices: list[str], renamed: dict[str, str]) -> None:
        super().__init__(choices)
        self.renamed = renamed

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Give the value, if it is one of the choices."""
        if value in self.renamed:
            self.fail(f"{value!r} is now called {self.renamed[value]!r}", param, ctx)
        return super().convert(value, param, ctx)
