"""Commands on inputs: sources, sample-data, fetch."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from medmix.curate.errors import UsageError, WorkError
from medmix.curate.progress import say

from .options import PATH
from .printing import print_added, print_json, print_outcomes, print_statuses, print_table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def sources(as_json: bool) -> None:
    """List the sources and their licences.

    For each source: its contents, its licence and verdict, and its origin.

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
    "--layout",
    metavar="NAME",
    help="Layout of the sources that have it: original, hub, ...  [default: each source's first]",
)
def sample_data(out: Path, seed: int, layout: str | None) -> None:
    """Write miniature upstream trees.

    The data is generated, licence-free and in the exact upstream layouts.

    \b
    Example:
      medmix sample-data --out sources
      medmix sample-data --out hub-sources --layout hub
      medmix build --mixture sample --root sources --out mixes/sample
    """
    from medmix.curate import sampledata

    rows = sampledata.write(out, seed, layout)
    say(f"{sum(rows.values())} rows of {len(rows)} sources in {out}")


if TYPE_CHECKING:
    from medmix.curate.fetch.downloads import Outcome
    from medmix.curate.mixture import EvaluationSet


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option(
    "--mixture", "mixture_name", help="Fetch all sources and evaluation sets of a mixture: name, or YAML file."
)
@click.option(
    "--root",
    type=PATH,
    default="sources",
    help="Folder that holds one folder per source.  [default: ./sources]",
)
@click.option("--check", "only_check", is_flag=True, help="Verify local files by their digests; download nothing.")
@click.option("--quick", is_flag=True, help="With --check: compare only names and sizes.")
@click.option("--articles", "only_articles", is_flag=True, help="Fetch only the licences of PubMed Central articles.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def fetch(
    sources: tuple[str, ...],
    mixture_name: str | None,
    root: Path,
    only_check: bool,
    quick: bool,
    only_articles: bool,
    as_json: bool,
) -> int:
    """Download sources, or print manual steps.

    Sources on the Hub are downloaded at the pinned commit; a second run resumes a stopped download. For other sources,
    and for evaluation sets that are no source, the manual steps are printed, with exit code 0. Without SOURCE and
    --mixture, all sources are fetched.

    --check exits with 1 if a source is damaged or of another version, or if a named source or set is absent. The next
    run without it downloads damaged files again. Files that medmix did not download are listed as NOT CHECKED.
    --articles fetches the licences of figures whose rows name none from PubMed Central into ROOT/pmc_articles/.

    \b
    Examples:
      medmix fetch slake vqa_rad --root /data/sources
      medmix fetch --check --mixture v1 --root /data/sources
      medmix fetch --articles --root /data/sources
    """
    from medmix.curate.evaluationsets import external_sets
    from medmix.curate.fetch import contents, downloads
    from medmix.curate.mixtures import load
    from medmix.curate.read import source_status

    if quick and not only_check:
        raise UsageError("--quick needs --check")
    if only_articles:
        if sources or only_check or mixture_name:
            raise UsageError("--articles takes no SOURCE, --mixture and --check: it covers all sources under --root")
        print_added(downloads.fetch_article_licences(root), root / "pmc_articles", as_json)
        return 0
    sets: list[EvaluationSet] = []
    if mixture_name:
        if sources:
            raise UsageError("give SOURCE or --mixture, not both")
        mixture = load(mixture_name)
        sources, sets = tuple(mixture.sources), [item for item in mixture.evaluation if item.images]
    if only_check:
        statuses = source_status.check_sources(sources, root)
        of_sets = [external_sets.status(item, root) for item in sets]
        if not quick:
            statuses, of_sets = contents.check_contents(statuses, root), contents.without_digests(of_sets)
        statuses += of_sets
        print_statuses(statuses, as_json)
        return WorkError.exit_code if source_status.failed_checks(statuses, named=bool(sources)) else 0
    outcomes = downloads.fetch_sources(sources, root)
    outcomes += [_set_outcome(item, root) for item in sets]
    print_outcomes(outcomes, as_json)
    if problems := [outcome.problem for outcome in outcomes if outcome.problem]:
        raise WorkError("; ".join(problems))
    return 0


def _set_outcome(item: "EvaluationSet", root: Path) -> "Outcome":
    """Give the outcome for a set of images, which only a person can get; the steps come from its dataset's facts."""
    from medmix.curate.evaluationsets import external_sets
    from medmix.curate.fetch.downloads import Outcome
    from medmix.curate.read.source_status import COMPLETE
    from medmix.evaluate.classification import datasets

    status, folder = external_sets.status(item, root), str(root / item.images)
    if status.state in COMPLETE:
        return Outcome(item.images, "present", folder)
    steps = []
    if item.images in datasets.dataset_names():
        info = datasets.load(item.images)
        count = f"{sum(info.images.values()):,} images" if info.images else "number of images not known"
        steps += [f"{info.download} ({count}; {info.download_size or 'size of the download not known'})"]
    steps += [f"put them in {folder}", *(problem for problem in status.problems if status.state == "incomplete")]
    return Outcome(item.images, "manual", folder, steps=tuple(steps))
