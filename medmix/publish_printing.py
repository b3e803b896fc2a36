"""Print the plan of a push and the difference of two mixes."""

from collections.abc import Sequence
from typing import Any

import click

from medmix.curate.progress import say

from .printing import print_table


def print_plan(plan: dict[str, Any]) -> None:
    """Print the files to upload, the files on the Hub, and the withheld records with reasons."""
    gate = ", users must accept its terms" if plan["gated"] else ""
    click.echo(f"to {plan['repo']} as {plan['tag']}, {plan['visibility']}{gate}")
    commits = f"{plan['commits']} commit{'' if plan['commits'] == 1 else 's'}"
    click.echo(f"upload: {len(plan['upload'])} files, {plan['upload_bytes']:,} bytes, in {commits}")
    click.echo(f"already on the Hub: {len(plan['present'])} files, {plan['present_bytes']:,} bytes")
    if plan["delete"]:
        click.echo(f"to delete: {len(plan['delete'])} files of another version")
    click.echo(f"\npublished: {plan['records']:,} records")
    rows = [{"licence": licence, "records": f"{count:,}"} for licence, count in plan["records_by_licence"].items()]
    print_table(rows, ("licence", "records"))
    if plan["withheld"]:
        click.echo(f"\nwithheld: {sum(entry['records'] for entry in plan['withheld']):,} records")
        print_table(plan["withheld"], ("source", "licence", "records", "reason"))
    for note in plan["notes"]:
        say(f"note: {note}")


def print_diff(summary: dict[str, Any], records: Sequence[dict[str, Any]]) -> None:
    """Print counts by source and reason, and list some records."""
    totals = {change: summary[change] for change in ("added", "removed", "changed")}
    counts = ", ".join(f"{count:,} {change}" for change, count in totals.items())
    click.echo(
        f"{summary['before']} -> {summary['after']}: {counts}, {summary['same']:,} unchanged: {summary['level']}"
    )
    if summary["by_reason"]:
        click.echo()
        print_table(summary["by_reason"], ("source", "change", "records", "reason"))
        click.echo()
    for record in records:
        click.echo(f"{record['change']} {record['id']}: {record['reason']}")
    rest = sum(totals.values()) - len(records)
    if rest:
        click.echo(f"... and {rest:,} more (--limit, or all with --json)")
