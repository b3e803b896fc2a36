"""Printing of results: tables, and the output of `medmix fetch`. Data on stdout, messages on stderr."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medmix.curate.progress import say

if TYPE_CHECKING:  # both are slow to import, and most commands need neither
    from medmix.curate.fetch.downloads import Outcome
    from medmix.curate.read.source_status import SourceStatus


def print_json(document: Any, sort_keys: bool = False) -> None:
    """Print one JSON document; values that JSON does not know are printed as text."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str, sort_keys=sort_keys))


def print_table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Print the columns of the rows, under their names."""
    cells = [columns, *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_build(manifest: dict[str, Any]) -> None:
    """Print the numbers of rows read, kept and dropped, by source."""
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


def print_statuses(statuses: "Sequence[SourceStatus]", as_json: bool) -> None:
    """Print the status of each source's files; below, the problems and what has no known digest."""
    rows = [asdict(status) for status in statuses]
    if as_json:
        print_json(rows)
        return
    print_table(rows, ("source", "state", "layout", "revision"))
    for status in statuses:
        for problem in (*status.problems, *status.unchecked):
            click.echo(f"{status.source}: {problem}")


def print_outcomes(outcomes: "Sequence[Outcome]", as_json: bool) -> None:
    """Print the result for each source, its manual steps, and which sources are incomplete."""
    if as_json:
        print_json([asdict(outcome) for outcome in outcomes])
    else:
        for outcome in outcomes:
            _print_outcome(outcome)
    incomplete = [outcome.source for outcome in outcomes if outcome.state in ("manual", "failed")]
    if incomplete:
        say(f"incomplete: {', '.join(incomplete)}")


def _print_outcome(outcome: "Outcome") -> None:
    if outcome.state in ("fetched", "present"):
        version = f", {outcome.dataset} at {outcome.revision}" if outcome.dataset else ""
        result = "fetched" if outcome.state == "fetched" else "is already present"
        click.echo(f"{outcome.source}: {result}: {outcome.folder}{version}")
    if outcome.steps:
        click.echo(f"{outcome.source}: manual steps to {'get' if outcome.state == 'manual' else 'complete'} it:")
    for number, step in enumerate(outcome.steps, 1):
        click.echo(f"  {number}. {step}")


def print_added(count: int, folder: Path, as_json: bool) -> None:
    """Print how many licences were added to a table."""
    if as_json:
        print_json({"folder": str(folder), "added": count})
    else:
        say(f"{count} licences added to {folder}")


def print_licences(report: dict[str, Any]) -> None:
    """Print a licence report: holdings, uses, duties, incompatible pairs, and the records left for a use."""
    columns = ("source", "licence", "records", "verdict", "allows", "asks")
    print_table([{**holding, **_terms(holding)} for holding in report["holdings"]], columns)
    click.echo("\nuses of the whole mix:")
    for entry in report["uses"]:
        click.echo(f"  {entry['use']} ({entry['what']}): {entry['allowed']} of {report['records']} records")
        for block in entry["blocked_by"]:
            sources = ", ".join(block["sources"])
            click.echo(f"    {block['records']} blocked by {block['licence']} ({sources}): {block['why']}")
    for entry in report["duties"]:
        if entry["records"]:
            click.echo(f"  {entry['duty'].replace('_', '-')}: required for {entry['records']} records")
    if report["not_combinable"]:
        click.echo("\nlicences that cannot be combined in one adapted work (in the mix each record keeps its own):")
    for pair in report["not_combinable"]:
        click.echo(f"  {' and '.join(pair['licences'])}: {pair['why']}")
    click.echo(f"\nrecords permitted for {report['use']} use:")
    remaining = [{**entry, "excluded": ", ".join(entry["left_out"])} for entry in report["remaining"]]
    print_table(remaining, ("source", "records", "remain", "excluded"))
    for finding in report["findings"]:
        click.echo(f"finding: {finding}")


def _terms(holding: dict[str, Any]) -> dict[str, str]:
    allows = ("redistribute", "derivatives", "commercial")
    asks = ("attribution", "share_alike", "agreement", "credentialed")
    return {
        name: ", ".join(term.replace("_", "-") for term in terms if holding[term]) or "nothing"
        for name, terms in (("allows", allows), ("asks", asks))
    }
