"""Print the plan and the result of a push, and the difference of two mixes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from medmix.curate.progress import say

from .printing import print_json, print_table

if TYPE_CHECKING:
    from medmix.curate.publish.planner import PublishedVersion


def print_plan(plan: dict[str, Any]) -> None:
    """Print the files to upload, the files on the Hub, and the withheld records with reasons."""
    gate = ", users must accept its terms" if plan["gated"] else ""
    where = "" if plan["revision"] == "main" else f", {plan['revision']}, without a tag"
    click.echo(f"to {plan['repo']} as {plan['tag']}{where}, {plan['visibility']}{gate}")
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


def print_published(version: "PublishedVersion", dry_run: bool, as_json: bool) -> None:
    """Print that a version was published before, and which settings of the dataset were changed, or would be."""
    if as_json:
        print_json({"published": version.to_dict()})
    changes = " and ".join(version.settings.describe())
    verb = "would be changed" if dry_run else "was changed"
    rest = f"the dataset {verb}: it {changes}" if changes else "nothing to do"
    say(f"{version.repo}: {version.tag} is already published with the same content; {rest}")


def print_pushed(version: "PublishedVersion") -> None:
    """Print where a version is now, and of a draft how it gets its tag."""
    if version.revision == "main":
        say(f"{version.repo}: {version.tag} is published: {version.page}/tree/{version.tag}")
        return
    what = "is proposed" if version.revision.startswith("refs/pr/") else f"is on the branch {version.revision}"
    say(f"{version.repo}: {version.tag} {what}: {version.page}")
    say("it has no tag yet: once main has these files, a push to main verifies and tags them")


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
