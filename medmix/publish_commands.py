"""Commands for published mixes: push, diff, rehydrate."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medmix.curate.errors import UsageError, WorkError
from medmix.curate.progress import say

from .options import workers_option
from .printing import print_json
from .publish_printing import print_diff, print_plan, print_published, print_pushed

if TYPE_CHECKING:
    from medmix.curate.publish.hub_user import User


@click.command()
@click.argument("mix", default="mixes/v1", type=click.Path(path_type=Path))
@click.option("--repo", metavar="OWNER/NAME", help="Dataset on the Hub.  [default: `publish` of the mixture]")
@click.option("--dry-run", is_flag=True, help="Print the plan; upload nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation; overwrite a card that no push has written.")
@click.option("--public", is_flag=True, help="Make the dataset public; a new dataset is private by default.")
@click.option("--message", default="", help="Message of the commit.  [default: name and version of the mixture]")
@click.option("--pr", "pull_request", is_flag=True, help="Propose the files in a pull request; create no tag.")
@click.option(
    "--revision", metavar="BRANCH", default="main", show_default=True, help="Commit to a branch; only main is tagged."
)
@workers_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def push(
    mix: Path,
    repo: str | None,
    dry_run: bool,
    yes: bool,
    public: bool,
    message: str,
    pull_request: bool,
    revision: str,
    workers: int,
    as_json: bool,
) -> int:
    """Publish a mix on the Hub.

    Only records that may be redistributed are uploaded. The others stay local, and pointers without content represent
    them. An interrupted push continues when run again. The version is tagged after all digests on the Hub are
    verified, and a tagged version never changes. A push to a branch or a pull request is a draft: once its files are
    on main, a push without --revision and --pr verifies and tags them.

    \b
    Examples:
      medmix push mixes/v1 --repo OWNER/NAME --dry-run
      medmix push mixes/v1 --repo OWNER/NAME --public
      medmix push mixes/v1 --repo OWNER/NAME --pr --message "Add the films of June"
    """
    from medmix.curate.publish import unchanged
    from medmix.curate.publish.options import Options

    options = Options(public, dry_run, yes, message.strip(), pull_request, revision, workers)
    options.validate()
    if not (dry_run or yes or _is_terminal()):
        raise UsageError("there is no terminal to confirm the push on; give --yes, or --dry-run for the plan")
    unchanged.require_tables(mix)
    user = _authorize(repo, pull_request) if repo and not dry_run else None

    from medmix.curate.publish import planner
    from medmix.curate.publish import push as pushing

    with planner.open_work_folder(mix) as work:
        plan = planner.plan_push(mix, repo, options, work, user)
        if isinstance(plan, planner.PublishedVersion):
            if plan.settings.describe() and not dry_run:
                _confirm(f"{plan.repo} {' and '.join(plan.settings.describe())}: go on?", yes)
                pushing.update_settings(plan.repo, plan.settings)
            print_published(plan, dry_run, as_json)
            return 0
        findings = pushing.check_plan(plan, mix, options) if dry_run else []
        document: dict[str, Any] = {"plan": plan.to_dict(), "findings": findings}
        if not as_json:
            print_plan(document["plan"])
        if dry_run:
            if as_json:
                print_json(document)
            for finding in findings:
                say(f"not allowed: {finding}")
            return WorkError.exit_code if findings else 0
        _confirm(f"push to {plan.repo}?", yes)
        result = pushing.execute(plan, mix, options)
    if as_json:
        print_json({**document, "published": result.to_dict()})
    print_pushed(result)
    return 0


def _authorize(repo: str, is_proposal: bool) -> "User":
    """Check who pushes before the imports of a push, which take longer than the answer."""
    from medmix.curate.publish import hub_user, retries

    hub_user.validate_name(repo)
    with retries.client_session():
        return hub_user.authorize(repo, is_proposal)


def _confirm(question: str, yes: bool) -> None:
    """Ask, unless the user has answered with --yes; "no" ends the command."""
    if not yes:
        click.confirm(question, default=False, abort=True, err=True)


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


@click.command()
@click.argument("before", metavar="MIX_A")
@click.argument("after", metavar="MIX_B")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Number of records to list.")
def diff(before: str, after: str, as_json: bool, limit: int) -> None:
    """Compare two mixes record by record.

    Each one is the folder of a mix or of a published copy, or OWNER/NAME@TAG on the Hub.

    \b
    Examples:
      medmix diff mixes/v1 mixes/v1-new
      medmix diff OWNER/NAME@v1.0.0 mixes/v1
    """
    import tempfile

    from medmix.curate.publish import retries, snapshot
    from medmix.curate.publish.diff import compare

    with tempfile.TemporaryDirectory(prefix="medmix-") as work, retries.client_session():
        difference = compare(snapshot.open_metadata(before, Path(work)), snapshot.open_metadata(after, Path(work)))
    if as_json:
        print_json({**difference.summary(), "records": difference.records.to_dicts()})
    else:
        print_diff(difference.summary(), difference.records.head(limit).to_dicts())


@click.command()
@click.argument("name", metavar="OWNER/NAME@TAG")
@click.option("--root", type=click.Path(path_type=Path), default="sources", help="Local sources.  [default: ./sources]")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the full mix.")
@click.option("--workers", type=click.IntRange(min=1), help="Number of processes.  [default: one per core]")
@click.option(
    "--language-model", type=click.Path(path_type=Path), help="lid.176.ftz of fastText, instead of the installed one."
)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest.")
def rehydrate(
    name: str, root: Path, out: Path, workers: int | None, language_model: Path | None, as_json: bool
) -> None:
    """Rebuild the full mix from a published one and local sources.

    Local copies are needed of the sources that were not completely published. Each record is verified by its digests,
    and records that differ are listed. The folder of a published copy can replace OWNER/NAME@TAG.

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
        say(f"{document['totals']['kept']} records, all verified, are in {out}; next: medmix check {out}")
