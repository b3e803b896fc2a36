"""Commands on scores of several models: report, ablate."""

from pathlib import Path

import click

from medmix.curate.progress import say
from medmix.printing import print_json


@click.command()
@click.argument("results", nargs=-1, required=True, metavar="RESULTS...", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--json", "as_json", is_flag=True, help="Print what report.json holds.")
def report(results: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Lay the scores of several models out beside each other.

    RESULTS are files of medmix eval, or folders that hold some at any depth. report.md, report.html and report.json
    have the models with intervals, controls and paired tests, what papers have published, and what the mix of the
    training shares with each set. Scores under different protocols never stand in one table.

    \b
    Example:
      medmix report results --out report
    """
    from medmix.evaluate.comparison import pages

    document = pages.report(results, out)
    for line in document["warnings"]:
        say(f"note: {line}")
    if as_json:
        print_json(document)
    say(f"the report is in {out}; look at {out / pages.HTML}")
