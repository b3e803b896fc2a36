"""Commands on evaluation sets: fingerprint, leaks."""

import os
from pathlib import Path

import click

from medmix.curate.errors import UsageError, WorkError
from medmix.curate.progress import say

from .printing import print_json, print_table

SPLITS = click.Choice(["validation", "test"])
MAX_SHOWN = 20
_KINDS = {
    "image": "the image of",
    "near": "an altered copy of the image of",
    "text": "the text of",
    "overlap": "half or more of the text of",
}


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="File to write.  [default: ./NAME.parquet]")
@click.option("--name", help="What reports call the set.  [default: the folder's name]")
@click.option("--split", default="test", show_default=True, type=SPLITS, help="Of a mix: the split to take.")
@click.option("--files", help="Of a folder: pattern of the images to take, as in 'test/**/*.png'.")
@click.option("--table", help="Of a folder: csv table, or text file, in it that names the images to take.")
@click.option("--column", help="Of the table: the column with the names.")
@click.option("--where", "conditions", multiple=True, metavar="COLUMN=VALUE", help="Of the table: rows to take.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: one per core]")
def fingerprint(
    path: Path,
    out: Path | None,
    name: str | None,
    split: str,
    files: str | None,
    table: str | None,
    column: str | None,
    conditions: tuple[str, ...],
    workers: int | None,
) -> None:
    """Write what it takes to find an evaluation set again.

    PATH is a folder of images or a finished mix. The file that comes out holds fingerprints, not the images or
    texts; builds and `medmix leaks` take it in their place.

    \b
    Examples:
      medmix fingerprint sources/busi --out sources/busi.parquet
      medmix fingerprint sources/ham10000 --table HAM10000_metadata.csv --column image_id --where dx=mel
    """
    from medmix.curate.evaluationsets import leakreport
    from medmix.curate.mixture import Listing

    where = dict(_condition(text) for text in conditions)
    listing = Listing(files or Listing().files, table or "", column or "", where)
    if problems := listing.problems():
        raise UsageError("; ".join(problems))
    called = name or path.resolve().name
    out = out or Path(f"{called}.parquet")
    count = leakreport.make(path, listing, split, called, out, workers or os.cpu_count() or 1)
    say(f"{out}: {count} items of {called}, {out.stat().st_size / 1e6:.1f} MB")


def _condition(text: str) -> tuple[str, str]:
    column, found, value = text.partition("=")
    if not found:
        raise UsageError(f"--where {text}: write COLUMN=VALUE")
    return column, value


@click.command()
@click.argument("target", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--against", multiple=True, required=True, type=click.Path(path_type=Path), help="May be given again.")
@click.option("--split", default="test", show_default=True, type=SPLITS, help="Of mixes among --against.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: one per core]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document with every hit.")
def leaks(target: Path, against: tuple[Path, ...], split: str, workers: int | None, as_json: bool) -> int:
    """Tell what a mix shares with evaluation sets.

    DIR is a finished mix or a folder of images; --against names files of `medmix fingerprint`, mixes, or folders of
    images. Exit 1 if anything leaks.

    \b
    Examples:
      medmix leaks mixes/v1 --against sources/busi --against cxr8.parquet
      medmix leaks my-images --against mixes/v1 --split test
    """
    from medmix.curate.evaluationsets import leakreport

    report = leakreport.report(target, against, split, workers or os.cpu_count() or 1)
    for entry in report["sets"]:
        if entry["unread"]:
            say(f"note: {entry['unread']} of {entry['items']} items of {entry['name']} have images that cannot be read")
    for entry in report["unread"][:MAX_SHOWN]:
        say(f"note: {entry['id']}: {entry['problem']}; not compared")
    if as_json:
        print_json(report)
    else:
        if report["matrix"]:
            print_table(report["matrix"], list(report["matrix"][0]))
        for hit in report["hits"][:MAX_SHOWN]:
            how = f" ({hit['transformation']})" if hit["transformation"] else ""
            click.echo(f"{hit['id']}: {_KINDS[hit['kind']]} {hit['item']}{how}")
        if len(report["hits"]) > MAX_SHOWN:
            click.echo(f"and {len(report['hits']) - MAX_SHOWN} more; all of them with --json")
        say(f"{target}: {len(report['hits']) or 'no'} leak{'' if len(report['hits']) == 1 else 's'}")
    return WorkError.exit_code if report["hits"] else 0
