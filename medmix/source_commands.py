"""Commands on what goes in: sources, sample-data, fetch."""

from pathlib import Path

import click

from medmix.curate.errors import UsageError, WorkError
from medmix.curate.progress import say

from .printing import print_added, print_json, print_outcomes, print_presences, print_table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def sources(as_json: bool) -> None:
    """List the sources and their licences.

    What each holds, what may be done with it, and where it comes from.

    \b
    Example:
      medmix sources --json | jq '.[] | {id, licence}'
    """
    from medmix.curate import facts

    entries = [facts.load(source).summary() for source in facts.source_ids()]
    if as_json:
        print_json(entries)
    else:
        print_table(entries, ("id", "modality", "task", "samples", "licence", "verdict", "access"))


@click.command("sample-data")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write; must not exist yet.")
@click.option("--seed", default=0, show_default=True, help="Equal seeds give equal bytes.")
@click.option(
    "--layout", metavar="NAME", help="For sources that have it: original, hub, ...  [default: each one's own]"
)
def sample_data(out: Path, seed: int, layout: str | None) -> None:
    """Write miniature upstream trees.

    They are made by code, licence-free, in the exact upstream layouts.

    \b
    Example:
      medmix sample-data --out sources
      medmix sample-data --out hub-sources --layout hub
      medmix build --mixture sample --root sources --out mixes/sample
    """
    from medmix.curate import sampledata

    rows = sampledata.write(out, seed, layout)
    say(f"{sum(rows.values())} rows of {len(rows)} sources in {out}")


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option("--root", type=click.Path(path_type=Path), default="sources", help="Where to.  [default: ./sources]")
@click.option("--check", "only_check", is_flag=True, help="Only look what lies there.")
@click.option("--articles", "only_articles", is_flag=True, help="Only fetch licences of PubMed Central articles.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def fetch(sources: tuple[str, ...], root: Path, only_check: bool, only_articles: bool, as_json: bool) -> int:
    """Download sources, or say how to get them.

    What lies on the Hub comes at the pinned commit; run again, it goes on where it stopped. For the others it prints
    what to do, and ends with 0. Without SOURCE, all of them.

    --check ends with 1 if a source is damaged or not of the pinned version, or one that is named is not there.
    --articles asks PubMed Central for the licences of figures whose rows name none, into ROOT/pmc_articles/.

    \b
    Examples:
      medmix fetch slake vqa_rad --root /data/sources
      medmix fetch --check --root /data/sources
      medmix fetch --articles --root /data/sources
    """
    from medmix.curate.fetch import downloads
    from medmix.curate.read import source_status

    if only_articles:
        if sources or only_check:
            raise UsageError("--articles stands alone: it looks at all sources under --root")
        print_added(downloads.fetch_article_licences(root), root / "pmc_articles", as_json)
        return 0
    if only_check:
        held = source_status.check_sources(sources, root)
        print_presences(held, as_json)
        return WorkError.exit_code if source_status.failed_checks(held, asked_for=bool(sources)) else 0
    outcomes = downloads.fetch_sources(sources, root)
    print_outcomes(outcomes, as_json)
    if problems := [outcome.problem for outcome in outcomes if outcome.problem]:
        raise WorkError("; ".join(problems))
    return 0
