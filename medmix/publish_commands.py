"""Commands on what is published: push, diff, rehydrate."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from medmix.curate.errors import WorkError
from medmix.curate.progress import say

from .printing import print_json
from .publish_printing import print_diff, print_plan


@click.command()
@click.argument("mix", default="mixes/v1", type=click.Path(path_type=Path))
@click.option("--repo", metavar="OWNER/NAME", help="Dataset on the Hub.  [default: the mixture's `publish`]")
@click.option("--dry-run", is_flag=True, help="Print the plan, and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--public", is_flag=True, help="Let all see it; otherwise a new dataset is private.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def push(mix: Path, repo: str | None, dry_run: bool, yes: bool, public: bool, as_json: bool) -> int:
    """Publish a mix on the Hub.

    Only what may be redistributed; the rest stays, and pointers tell where it stands upstream. Run again, it goes on
    where it stopped. The version is tagged when all digests on the Hub are right, and never changes after that.

    \b
    Examples:
      medmix push mixes/v1 --repo OWNER/NAME --dry-run
      medmix push mixes/v1 --repo OWNER/NAME --public
    """
    from medmix.curate.publish import preparing
    from medmix.curate.publish import push as pushing

    options = preparing.Options(public=public, dry_run=dry_run)
    with preparing.working(mix) as work:
        plan = preparing.prepare(mix, repo, options, work)
        if isinstance(plan, preparing.Published):
            if as_json:
                print_json({"published": plan.as_plain()})
            say(f"{plan.repo}: {plan.tag} is published with just this content; nothing to do")
            return 0
        findings = pushing.inspect(plan, mix) if dry_run else []
        document: dict[str, Any] = {"plan": plan.as_plain(), "findings": findings}
        if not as_json:
            print_plan(document["plan"])
        if dry_run:
            if as_json:
                print_json(document)
            for finding in findings:
                say(f"refused: {finding}")
            return WorkError.exit_code if findings else 0
        if not yes and _is_terminal():
            click.confirm(f"push this to {plan.repo}?", default=False, abort=True, err=True)
        result = pushing.carry_out(plan, mix, options)
    if as_json:
        print_json({**document, "published": result})
    say(f"{result['repo']}: {result['tag']} is published: {result['page']}/tree/{result['tag']}")
    return 0


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


@click.command()
@click.argument("before", metavar="MIX_A")
@click.argument("after", metavar="MIX_B")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Records shown by name.")
def diff(before: str, after: str, as_json: bool, limit: int) -> None:
    """Compare two mixes record by record.

    Each is the folder of a mix or of a published copy, or OWNER/NAME@TAG.

    \b
    Examples:
      medmix diff mixes/v1 mixes/v1-new
      medmix diff OWNER/NAME@v1.0.0 mixes/v1
    """
    import tempfile

    from medmix.curate.publish import copies, retries
    from medmix.curate.publish.diff import compare

    with tempfile.TemporaryDirectory(prefix="medmix-") as work, retries.session():
        found = compare(copies.told(before, Path(work)), copies.told(after, Path(work)))
    if as_json:
        print_json({**found.summary(), "records": found.records.to_dicts()})
    else:
        print_diff(found.summary(), found.records.head(limit).to_dicts())


@click.command()
@click.argument("name", metavar="OWNER/NAME@TAG")
@click.option("--root", type=click.Path(path_type=Path), default="sources", help="Local sources.  [default: ./sources]")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the mix.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: one per core]")
@click.option(
    "--language-model", type=click.Path(path_type=Path), help="fastText's lid.176.ftz, instead of the installed one."
)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest.")
def rehydrate(
    name: str, root: Path, out: Path, workers: int | None, language_model: Path | None, as_json: bool
) -> None:
    """Rebuild the whole mix of a published one.

    From local copies of the sources that could not be published as a whole; each record is proved by its digests, and
    those that differ are named. In place of OWNER/NAME@TAG the folder of a published copy will do.

    \b
    Example:
      medmix rehydrate OWNER/NAME@v1.0.0 --root sources --out mixes/v1
    """
    from medmix.curate.publish.rehydrate import Options
    from medmix.curate.publish.rehydrate import rehydrate as rebuild

    document = rebuild(name, root, out, Options(workers or os.cpu_count() or 1, language_model))
    if as_json:
        print_json(document, sort_keys=True)
    else:
        say(f"{document['totals']['kept']} records, each with its digests, are in {out}; next: medmix check {out}")
