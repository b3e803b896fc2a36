"""Commands that compare scores of several models: report, ablate."""

import sys
from pathlib import Path
from typing import Any

import click

from medmix.curate.progress import say

from .eval_commands import scoring_options
from .model_commands import mix_folder, needs_train
from .options import comma_list
from .printing import print_json


def _numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...]:
    """Split a comma-separated option of whole numbers."""
    try:
        return tuple(int(number) for number in comma_list(context, parameter, value))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of whole numbers such as 0,1,2") from None


@click.command()
@click.argument("results", nargs=-1, required=True, metavar="RESULTS...", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Output folder.")
@click.option("--json", "as_json", is_flag=True, help="Print report.json.")
def report(results: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Compare the scores of several models.

    RESULTS are results files of medmix eval, or folders that contain some at any depth. report.md, report.html and
    report.json have the models with intervals, controls and paired tests, published numbers, and the overlap of the
    training mix with each benchmark. Scores under different protocols are never in one table.

    \b
    Example:
      medmix report results --out report
    """
    from medmix.evaluate.comparison import rendering

    document = rendering.write_report(results, out)
    for line in document["warnings"]:
        say(f"note: {line}")
    if as_json:
        print_json(document)
    say(f"the report is in {out}; open {out / rendering.HTML}")


@click.command()
@click.option("--mixture", "mixture_name", default="v1", show_default=True, help="Folder or name of a mix.")
@click.option("--recipe", default="smoke-cpu", show_default=True, help="Training recipe: name or YAML file.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value of the recipe.")
@click.option("--sources", callback=comma_list, metavar="NAME,...", help="Ablate these sources.  [default: all]")
@click.option("--seeds", callback=_numbers, metavar="N,...", help="Training seeds.  [default: the recipe's]")
@click.option("--tokens", type=click.IntRange(min=1), help="Tokens per run.  [default: the recipe's on all sources]")
@click.option("--out", type=click.Path(path_type=Path), help="Output folder.  [default: ./ablations/MIX-RECIPE]")
@scoring_options
@click.option("--transfer", default="transfer", show_default=True, help="Classification: name or YAML file.")
@click.option("--json", "as_json", is_flag=True, help="Print contributions.json.")
def ablate(
    mixture_name: str,
    recipe: str,
    overrides: tuple[str, ...],
    sources: tuple[str, ...],
    seeds: tuple[int, ...],
    tokens: int | None,
    out: Path | None,
    transfer: str,
    as_json: bool,
    **scoring: Any,
) -> None:
    """Measure what each source of a mix contributes.

    Trains models on all sources, without each source, and on each source alone, all on the same number of tokens, and
    scores them by the same suite. Differences are paired, with intervals. An interrupted ablation resumes when the
    command is repeated; more sources or seeds can be added later.

    \b
    Example:
      medmix ablate --mixture mixes/sample --recipe smoke-cpu --sources slake,roco --seeds 0,1
    """
    mix = mix_folder(mixture_name)
    needs_train()
    from medmix.train import recipes

    resolved = recipes.load(recipe, overrides)
    from medmix.evaluate.ablation import runs
    from medmix.evaluate.ablation.scoring import Scoring

    out = out or Path("ablations") / f"{mix.name}-{Path(recipe).stem}"
    document = runs.ablate(
        mix,
        resolved,
        out,
        Scoring(recipe=transfer, **scoring),
        sources=sources,
        seeds=seeds,
        tokens=tokens,
        progress=sys.stderr.isatty(),
    )
    if as_json:
        print_json(document)
    else:
        click.echo((out / runs.TABLE).read_text(encoding="utf-8"), nl=False)
    say(f"the runs and their scores are in {out}; next: medmix report {out} --out {out / 'report'}")
