"""How plans of a push and differences of mixes are shown to people."""

from collections.abc import Sequence
from typing import Any

import click

from medmix.curate.progress import say

from .printing import print_table


def print_plan(plan: dict[str, Any]) -> None:
    """Print what goes where, what is there already, what stays and why."""
    gate = ", users accept its terms first" if plan["gated"] else ""
    click.echo(f"to {plan['repo']} as {plan['tag']}, {plan['visibility']}{gate}")
    commits = f"{plan['commits']} commit{'' if plan['commits'] == 1 else 's'}"
    click.echo(f"goes: {len(plan['send'])} files, {plan['send_bytes']:,} bytes, in {commits}")
    click.echo(f"there already: {len(plan['there'])} files, {plan['there_bytes']:,} bytes")
    if plan["taken_away"]:
        click.echo(f"taken away from main: {len(plan['taken_away'])} files of another version")
    click.echo(f"\npublished: {plan['records']:,} records")
    rows = [{"licence": licence, "records": f"{count:,}"} for licence, count in plan["records_by_licence"].items()]
    print_table(rows, ("licence", "records"))
    if plan["stays"]:
        click.echo(f"\nstays here: {sum(held['records'] for held in plan['stays']):,} records")
        print_table(plan["stays"], ("source", "licence", "records", "why"))
    for note in plan["notes"]:
        say(f"note: {note}")


def print_diff(summary: dict[str, Any], records: Sequence[dict[str, Any]]) -> None:
    """Print counts by source and reason, and some of the records by name."""
    totals = {change: summary[change] for change in ("added", "removed", "changed")}
    told = ", ".join(f"{count:,} {change}" for change, count in totals.items())
    click.echo(f"{summary['before']} -> {summary['after']}: {told}, {summary['same']:,} alike: {summary['level']}")
    if summary["by_reason"]:
        click.echo()
        print_table(summary["by_reason"], ("source", "change", "records", "reason"))
        click.echo()
    for record in records:
        click.echo(f"{record['change']} {record['id']}: {record['reason']}")
    rest = sum(totals.values()) - len(records)
    if rest:
        click.echo(f"... and {rest:,} more (--limit, or all with --json)")
