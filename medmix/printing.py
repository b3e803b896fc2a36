"""Tables on standard output: what the commands print for people."""

from collections.abc import Sequence
from typing import Any

import click


def print_table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Print the named columns of rows, aligned, under a line with the names."""
    cells = [columns, *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_build(manifest: dict[str, Any]) -> None:
    """Print what a build read, kept and dropped, by source."""
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


def print_licences(report: dict[str, Any]) -> None:
    """Print what `licence_report` found: holdings, uses, duties, pairs that do not combine, what remains."""
    columns = ("source", "licence", "records", "verdict", "allows", "asks")
    print_table([{**holding, **_terms(holding)} for holding in report["holdings"]], columns)
    click.echo("\nof all of it:")
    for entry in report["uses"]:
        click.echo(f"  {entry['use']} ({entry['what']}): {entry['allowed']} of {report['records']} records")
        for block in entry["blocked_by"]:
            sources = ", ".join(block["sources"])
            click.echo(f"    {block['records']} blocked by {block['licence']} ({sources}): {block['why']}")
    for entry in report["duties"]:
        if entry["records"]:
            click.echo(f"  {entry['duty'].replace('_', '-')}: asked for {entry['records']} records")
    if report["not_combinable"]:
        click.echo("\nnot to be combined into one adapted work; in the mix each record keeps its own licence:")
    for pair in report["not_combinable"]:
        click.echo(f"  {' and '.join(pair['licences'])}: {pair['why']}")
    click.echo(f"\nwhat remains for {report['use']} use:")
    remaining = [{**entry, "left out": ", ".join(entry["left_out"])} for entry in report["remaining"]]
    print_table(remaining, ("source", "records", "remain", "left out"))
    for finding in report["findings"]:
        click.echo(f"finding: {finding}")


def _terms(holding: dict[str, Any]) -> dict[str, str]:
    allows = ("redistribute", "derivatives", "commercial")
    asks = ("attribution", "share_alike", "agreement", "credentialed")
    return {
        name: ", ".join(term.replace("_", "-") for term in terms if holding[term]) or "nothing"
        for name, terms in (("allows", allows), ("asks", asks))
    }
