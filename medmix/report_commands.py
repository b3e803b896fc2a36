"""Commands on scores of several models: report, ablate."""

import sys
from pathlib import Path
from typing import Any

import click

from medmix.curate.progress import say

from .model_commands import mix_folder, needs_train
from .options import comma_list
from .printing import print_json


def _numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...]:
    """Split a comma-separated option of whole numbers."""
    try:
        return tuple(int(number) for number in comma_list(context, parameter, value))
    except ValueError:
        raise click.BadParameter(f"{value!r} is no list of whole numbers, as in 0,1,2") from None


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
    from medmix.evaluate.comparison import rendering

    document = rendering.report(results, out)
    for line in document["warnings"]:
        say(f"note: {line}")
    if as_json:
        print_json(document)
    say(f"the report is in {out}; look at {out / rendering.HTML}")


@click.command()
@click.option("--mixture", "mixture_name", default="v1", show_default=True, help="Folder of a mix, or its name.")
@click.option("--recipe", default="smoke-cpu", show_default=True, help="Of the training: name, or path of a YAML file.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value of the recipe.")
@click.option("--sources", callback=comma_list, metavar="NAME,...", help="Look at these.  [default: all of the mix]")
@click.option("--seeds", callback=_numbers, metavar="N,...", help="Train with each.  [default: the recipe's]")
@click.option("--tokens", type=click.IntRange(min=1), help="Budget of a run.  [default: the recipe's on all sources]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the runs.  [default: ./ablations/MIX-RECIPE]")
@click.option("--suite", type=click.Choice(["vqa", "classification", "all"]), default="vqa", show_default=True)
@click.option("--root", type=click.Path(path_type=Path), help="Benchmarks and sets as upstream has them.")
@click.option(
    "--split", default="test", show_default=True, type=click.Choice(["validation", "test"]), help="Of the mix."
)
@click.option("--benchmarks", callback=comma_list, metavar="NAME,...", help="Ask only these.")
@click.option("--limit", type=click.IntRange(min=1), help="Ask at most N questions, evenly from the benchmarks.")
@click.option("--allow-leaks", is_flag=True, help="Score what the training data holds something of.")
@click.option(
    "--sets", callback=comma_list, metavar="NAME,...", help="Classification: these sets, or YAML files of sets."
)
@click.option("--transfer", default="transfer", show_default=True, help="Classification: its recipe.")
@click.option("--mode", type=click.Choice(["finetune", "linear-probe"]), default="finetune", show_default=True)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="That decode images of sets.")
@click.option("--json", "as_json", is_flag=True, help="Print what contributions.json holds.")
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
    **asked: Any,
) -> None:
    """Measure what each source of a mix contributes.

    Models are trained on all sources, without each, and on each alone, every one on the same number of tokens, and
    scored by the same suite; differences are paired, with intervals. Stopped and run again, it goes on where it was;
    more sources or seeds are added to what is there.

    \b
    Example:
      medmix ablate --mixture mixes/sample --recipe smoke-cpu --sources slake,roco --seeds 0,1
    """
    mix = mix_folder(mixture_name)
    needs_train()
    from medmix.evaluate.ablation import runs
    from medmix.evaluate.ablation.scoring import Scoring
    from medmix.train import recipes

    resolved = recipes.load(recipe, overrides)
    out = out or Path("ablations") / f"{mix.name}-{Path(recipe).stem}"
    document = runs.ablate(
        mix,
        resolved,
        out,
        Scoring(recipe=transfer, **asked),
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
