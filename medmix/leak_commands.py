"""Commands on evaluation sets: fingerprint, leaks."""

from pathlib import Path

import click

from medmix.curate.errors import UsageError, WorkError
from medmix.curate.progress import say

from .options import PATH, workers_option
from .printing import print_json, print_table

SPLITS = click.Choice(["validation", "test"])
MAX_SHOWN = 20
_KINDS = {
    "image": "has the image of",
    "near-duplicate": "has an altered copy of the image of",
    "panel": "shares a panel with the image of",
    "image-overlap": "has an image that overlaps with that of",
    "sequence": "has a neighbour of the image of",
    "text": "has the text of",
    "overlap": "has half or more of the text of",
}


@click.command()
@click.argument("path", type=PATH)
@click.option("--out", type=PATH, help="File to write.  [default: ./NAME.parquet]")
@click.option("--name", help="Name of the set in reports.  [default: the folder's name]")
@click.option("--split", default="test", show_default=True, type=SPLITS, help="Split of a mix to fingerprint.")
@click.option("--files", help="Pattern of a folder's images to use, as in 'test/**/*.png'.")
@click.option("--table", help="Csv table or text file in the folder that names the images to use.")
@click.option("--column", help="Column of the table with the names.")
@click.option("--where", "conditions", multiple=True, metavar="COLUMN=VALUE", help="Rows to use; repeatable.")
@workers_option
def fingerprint(
    path: Path,
    out: Path | None,
    name: str | None,
    split: str,
    files: str | None,
    table: str | None,
    column: str | None,
    conditions: tuple[str, ...],
    workers: int,
) -> None:
    """Fingerprint an evaluation set for leak detection.

    PATH is a folder of images or a finished mix. The output file has fingerprints, not the images or texts; builds
    and `medmix leaks` use it in place of the set.

    \b
    Examples:
      medmix fingerprint sources/busi --out sources/busi.parquet
      medmix fingerprint sources/ham10000 --table HAM10000_metadata.csv --column image_id --where dx=mel
    """
    from medmix.curate.evaluationsets import external_sets
    from medmix.curate.evaluationsets.leak_report import MAX_PIXELS
    from medmix.curate.mixture import FileFilter

    where = dict(_condition(text) for text in conditions)
    file_filter = FileFilter(files or FileFilter().files, table or "", column or "", where)
    if problems := file_filter.problems():
        raise UsageError("; ".join(problems))
    name = name or path.resolve().name
    out = out or Path(f"{name}.parquet")
    count = external_sets.fingerprint_set(path, file_filter, split, name, out, MAX_PIXELS, workers)
    say(f"{out}: {count} items of {name}, {out.stat().st_size / 1e6:.1f} MB")


def _condition(text: str) -> tuple[str, str]:
    column, found, value = text.partition("=")
    if not found:
        raise UsageError(f"--where {text}: write COLUMN=VALUE")
    return column, value


@click.command()
@click.argument("target", metavar="DIR", type=PATH)
@click.option(
    "--against", multiple=True, required=True, type=PATH, help="Fingerprint file, mix or folder of images; repeatable."
)
@click.option("--split", default="test", show_default=True, type=SPLITS, help="Split of mixes given with --against.")
@workers_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document with every hit.")
def leaks(target: Path, against: tuple[Path, ...], split: str, workers: int, as_json: bool) -> int:
    """Report overlap with evaluation sets.

    DIR is a finished mix or a folder of images. Exit 1 if anything leaks, or if a set could not be compared. Panels,
    overlaps and sequences are leaks as the mixture of DIR says; of a folder, panels and overlaps of half of an image.

    \b
    Examples:
      medmix leaks mixes/v1 --against sources/busi --against cxr8.parquet
      medmix leaks my-images --against mixes/v1 --split test
    """
    from medmix.curate.evaluationsets import leak_report

    report = leak_report.report(target, against, split, workers)
    for entry in report["sets"]:
        if entry["unreadable"]:
            say(f"note: {entry['unreadable']} of {entry['items']} items of {entry['name']} have unreadable images")
    for entry in report["unreadable"][:MAX_SHOWN]:
        say(f"note: {entry['id']}: {entry['problem']}; not compared")
    if as_json:
        print_json(report)
    else:
        if report["matrix"]:
            print_table(report["matrix"], [name for name in report["matrix"][0] if name != "leaks"])
        for hit in report["hits"][:MAX_SHOWN]:
            how = f" ({hit['transformation']})" if hit["transformation"] else ""
            click.echo(f"{hit['id']}: {_KINDS[hit['kind']]} {hit['item']}{how}")
        if len(report["hits"]) > MAX_SHOWN:
            click.echo(f"and {len(report['hits']) - MAX_SHOWN} more; all of them with --json")
        say(f"{target}: {len(report['hits']) or 'no'} leak{'' if len(report['hits']) == 1 else 's'}")
    for name in report["not_checked"]:
        say(f"NOT CHECKED against {name}: no image of {target} or of {name} can be read")
    return WorkError.exit_code if report["hits"] or report["not_checked"] else 0
