"""The command line: parses, calls one function, prints. Data on stdout, talk on stderr."""

import errno
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import medmix
from medmix.curate.errors import MedmixError, UsageError
from medmix.curate.progress import say

EXIT_WORK_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 done, 1 work failed or a check found something, 2 misuse, 130 interrupted."""
    try:
        status = cli.main(arguments, prog_name="medmix", standalone_mode=False)
    except MedmixError as error:
        status = _fail(str(error), error.exit_code)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "medmix"
        status = _fail(f"{error.format_message()} (see: {command} --help)", EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt):
        status = _fail("interrupted; run the same command again to go on", EXIT_INTERRUPTED)
    except OSError as error:
        status = _fail(_system_error(error), EXIT_WORK_FAILED)
    sys.exit(status or 0)


def _fail(line: str, status: int) -> int:
    say(f"medmix: error: {' '.join(line.split())}")
    return status


def _system_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{where}the disk is full; free some space and run the same command again: finished work is kept"
    return f"{where}{error.strerror or error}; mend that and run the same command again: finished work is kept"


def _names(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Split a comma-separated option."""
    return tuple(name.strip() for name in value.split(",") if name.strip()) if value else ()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(medmix.__version__, message="%(version)s")
def cli() -> None:
    """Build, check and train on mixes of open medical vision-language datasets."""


@cli.command()
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
        click.echo(json.dumps(entries, indent=2, ensure_ascii=False))
    else:
        _print_table(entries, ("id", "modality", "task", "samples", "licence", "verdict", "access"))


@cli.command("sample-data")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write; must not exist yet.")
@click.option("--seed", default=0, show_default=True, help="Equal seeds give equal bytes.")
def sample_data(out: Path, seed: int) -> None:
    """Write miniature upstream trees.

    They are made by code, licence-free, in the exact upstream layouts.

    \b
    Example:
      medmix sample-data --out sources
      medmix build --mixture sample --root sources --out mixes/sample
    """
    from medmix.curate import sampledata

    rows = sampledata.write(out, seed)
    say(f"{sum(rows.values())} rows of {len(rows)} sources in {out}")


@cli.command()
@click.option("--mixture", "mixture_name", default="v1", show_default=True, help="Name, or path of a YAML file.")
@click.option("--root", type=click.Path(path_type=Path), help="Holds one folder per source.  [default: ./sources]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the mix.  [default: ./mixes/NAME]")
@click.option("--only", callback=_names, metavar="SOURCE,...", help="Read only these sources.")
@click.option("--allow-missing", callback=_names, metavar="SOURCE,...", help="Go on without these if not there.")
@click.option("--limit", type=click.IntRange(min=1), help="Read only the first N rows of each source.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: one per core]")
@click.option("--fresh", is_flag=True, help="Forget what earlier runs read and measured.")
@click.option(
    "--language-model", type=click.Path(path_type=Path), help="fastText's lid.176.ftz, instead of the installed one."
)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest.")
def build(
    mixture_name: str,
    root: Path | None,
    out: Path | None,
    only: tuple[str, ...],
    allow_missing: tuple[str, ...],
    limit: int | None,
    workers: int | None,
    fresh: bool,
    language_model: Path | None,
    as_json: bool,
) -> None:
    """Build a mix from upstream files.

    Run again, it goes on where it stopped.

    \b
    Examples:
      medmix build --mixture sample --out mixes/sample
      medmix build --mixture v1 --root /data/sources --allow-missing mimic_cxr
    """
    from medmix.curate.build import BuildOptions
    from medmix.curate.build import build as build_mix
    from medmix.curate.mixture import load

    mixture = load(mixture_name)
    if root is None and not mixture.sample_data:
        root = Path("sources")
    out = out or Path("mixes") / mixture.name
    options = BuildOptions(
        only=only,
        allow_missing=allow_missing,
        limit=limit,
        workers=workers or os.cpu_count() or 1,
        fresh=fresh,
        language_model=language_model,
    )
    manifest = build_mix(mixture, root, out, options)
    if as_json:
        click.echo(json.dumps(manifest, indent=2, ensure_ascii=False, sort_keys=True))
    else:
        _print_build(manifest)
        say(f"the mix is in {out}; next: medmix check {out}")


@cli.command()
@click.argument("mix", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def check(mix: Path, as_json: bool) -> int:
    """Verify a finished mix.

    Digests, columns, licences, groups, ledger sums; exit 1 and a list if anything is off.

    \b
    Example:
      medmix check mixes/v1
    """
    from medmix.curate.check import check as check_mix

    findings = check_mix(mix)
    if as_json:
        click.echo(json.dumps({"mix": str(mix), "findings": findings}, indent=2, ensure_ascii=False))
    else:
        for finding in findings:
            click.echo(finding)
        say(f"{mix}: {len(findings) or 'no'} finding{'' if len(findings) == 1 else 's'}")
    return EXIT_WORK_FAILED if findings else 0


@cli.command()
@click.option("--mixture", "mixture_name", default="v1", show_default=True, help="Folder of a mix, or its name.")
@click.option("--recipe", default="openmedq-7b", show_default=True, help="Name, or path of a YAML file.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run.  [default: ./runs/MIX-RECIPE]")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value of the recipe.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def train(mixture_name: str, recipe: str, out: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Train a vision-language model on a mix.

    Run again, it goes on from the last checkpoint.

    \b
    Example:
      medmix train --mixture mixes/sample --recipe smoke-cpu --set run.steps=200
    """
    mix = _mix_folder(mixture_name)
    _needs_train()
    from medmix.train import loop
    from medmix.train import recipe as recipes
    from medmix.train.talk import is_first

    resolved = recipes.load(recipe, overrides)
    out = out or Path("runs") / f"{mix.name}-{Path(recipe).stem}"
    summary = loop.train(mix, resolved, out, progress=sys.stderr.isatty())
    if not is_first():
        return
    if as_json:
        click.echo(json.dumps(summary, indent=2, default=str))
    else:
        say(f"trained {summary['steps']} steps; the run is in {out}; next: medmix eval {out}")


@cli.command("eval")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--mix", type=click.Path(path_type=Path), help="Mix to score on.  [default: the one it was trained on]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the results.  [default: CHECKPOINT/eval]")
@click.option("--split", default="test", show_default=True, type=click.Choice(["validation", "test"]))
@click.option("--limit", type=click.IntRange(min=1), help="Score only the first N records.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def evaluate(
    checkpoint: Path, mix: Path | None, out: Path | None, split: str, limit: int | None, as_json: bool
) -> None:
    """Score a trained model on a mix.

    It answers the questions of a split, greedily; the answers are kept beside the scores.

    \b
    Example:
      medmix eval runs/sample-smoke-cpu --split test
    """
    _needs_train()
    from medmix.train import vqa

    out = out or checkpoint / "eval"
    results = vqa.evaluate(checkpoint, mix, out, split=split, limit=limit)
    if as_json:
        click.echo(json.dumps(results, indent=2, default=str))
    else:
        click.echo((out / "table.md").read_text(encoding="utf-8"), nl=False)
        say(f"the scores are in {out}")


@cli.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write; must not exist yet.")
def export(checkpoint: Path, out: Path) -> None:
    """Write a trained model as a plain transformers folder.

    It loads without medmix; a model card is beside it.

    \b
    Example:
      medmix export runs/sample-smoke-cpu --out models/sample
    """
    _needs_train()
    from medmix.train.export import export as export_model

    export_model(checkpoint, out)
    say(f"the model is in {out}; it loads by AutoModelForImageTextToText.from_pretrained")


def _mix_folder(name_or_path: str) -> Path:
    """Give the folder of a mix by its path, or by the name of the mixture it was built from."""
    path = Path(name_or_path)
    if path.is_dir():
        return path
    built = Path("mixes") / name_or_path
    if built.is_dir():
        return built
    raise UsageError(
        f"no mix at {path} or {built}; build it first: medmix build --mixture {name_or_path} --out {built}"
    )


def _needs_train() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise UsageError("training needs more packages; install them: pip install 'medmix[train]'")


def _print_build(manifest: dict[str, Any]) -> None:
    rows = [
        {
            "source": source,
            "read": entry["read"],
            "kept": entry["kept"],
            "dropped": ", ".join(f"{count} {reason}" for reason, count in entry["dropped_by_reason"].items()),
        }
        for source, entry in manifest["sources"].items()
    ]
    _print_table(rows, ("source", "read", "kept", "dropped"))
    totals = manifest["totals"]
    click.echo(f"{totals['read']} read = {totals['kept']} kept + {totals['dropped']} dropped")


def _print_table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    cells = [columns, *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
