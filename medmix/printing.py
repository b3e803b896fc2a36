"""How results are shown to people: tables, and the pages of `medmix fetch`. Data on stdout, talk on stderr."""

import json
from collections.abc import Sequence
from typing import Any

import click

from medmix.curate.progress import say


def print_json(document: Any, sort_keys: bool = False) -> None:
    """Print one JSON document; what JSON does not know as its text."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str, sort_keys=sort_keys))


def print_table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Print the columns of the rows, under their names."""
    cells = [columns, *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_build(manifest: dict[str, Any]) -> None:
    """Print what a build has read, kept and dropped, by source."""
    rows = [
        {
            "source": source,
            "read": entry["read"],
            "kept": entry["kept"],
            "dropped": ", ".join(f"{count} {reason}" for reason, count in entry["dropped_by_reason"].items()),
        }
        for source, entry in manifest["sources"].items()
    ]
    print_table(rows, ("source", "read", "kept", "dropped"))
    totals = manifest["totals"]
    click.echo(f"{totals['read']} read = {totals['kept']} kept + {totals['dropped']} dropped")


def print_holdings(holdings: Sequence[dict[str, Any]]) -> None:
    """Print what lies there of each source, the problems under each."""
    print_table(holdings, ("source", "state", "layout", "revision"))
    for holding in holdings:
        for problem in holding["problems"]:
            click.echo(f"{holding['source']}: {problem}")


def print_outcomes(outcomes: Sequence[dict[str, Any]]) -> None:
    """Print what became of each source, what to do by hand, and which ones are not complete."""
    for outcome in outcomes:
        source, folder = outcome["source"], outcome["folder"]
        if outcome["state"] in ("fetched", "there"):
            held = f", {outcome['dataset']} at {outcome['revision']}" if outcome["dataset"] else ""
            said = "is fetched" if outcome["state"] == "fetched" else "is there already"
            click.echo(f"{source}: {said}: {folder}{held}")
        if outcome["steps"]:
            click.echo(
                f"{source}: to get it by hand:" if outcome["state"] == "by hand" else f"{source}: to complete it:"
            )
            for number, step in enumerate(outcome["steps"], 1):
                click.echo(f"  {number}. {step}")
    lacking = [outcome["source"] for outcome in outcomes if outcome["state"] in ("by hand", "failed")]
    if lacking:
        say(f"not complete yet: {', '.join(lacking)}")
