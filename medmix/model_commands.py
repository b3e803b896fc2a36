"""The commands for models: train, export."""

import sys
from pathlib import Path

import click

from medmix.curate.errors import UsageError, WorkError
from medmix.curate.progress import say

from .printing import print_json


@click.command()
@click.option(
    "--mixture",
    "mixture_name",
    default="v1",
    show_default=True,
    help="Name or folder of a mix, or OWNER/NAME[@REVISION] on the Hub.",
)
@click.option("--recipe", default="openmedq-7b", show_default=True, help="Name or YAML file of a train recipe.")
@click.option("--out", type=click.Path(path_type=Path), help="Output folder.  [default: ./runs/MIX-RECIPE]")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a recipe value.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def train(mixture_name: str, recipe: str, out: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Train a vision-language model on a mix.

    A stopped run resumes from its last checkpoint. Shards of a mix on the Hub are downloaded on first read.

    \b
    Example:
      medmix train --mixture mixes/sample --recipe smoke-cpu --set run.steps=200
    """
    mix = mix_folder(mixture_name)
    needs_train()
    from medmix.train import recipes

    resolved = recipes.load(recipe, overrides)
    from medmix.train.rank_zero import is_rank_zero
    from medmix.train.run import loop

    out = out or Path("runs") / f"{Path(mixture_name).name.partition('@')[0]}-{Path(recipe).stem}"
    summary = loop.train(mix, resolved, out, progress_bar=sys.stderr.isatty())
    if not is_rank_zero():
        return
    if as_json:
        print_json(summary)
    else:
        say(f"trained {summary['steps']} steps; the run is in {out}; next: medmix eval {out}")


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Output folder; must be missing or empty.")
def export(checkpoint: Path, out: Path) -> None:
    """Export a trained model as a transformers folder.

    The folder loads without medmix and includes a model card.

    \b
    Example:
      medmix export runs/sample-smoke-cpu --out models/sample
    """
    needs_train()
    from medmix.train.run.state import find_checkpoint

    checkpoint = find_checkpoint(checkpoint)
    from medmix.train.export import image_text, llava
    from medmix.train.run.checkpoint import read

    export_model = image_text.export if read(checkpoint)[0].model else llava.export
    export_model(checkpoint, out)
    say(f"the model is in {out}; load it with AutoModelForImageTextToText.from_pretrained")


def mix_folder(name_or_path: str) -> Path:
    """Give the folder of a mix, by its path, its mixture's name, or its id on the Hub."""
    path = Path(name_or_path)
    if path.is_dir():
        return path
    built = Path("mixes") / name_or_path
    if built.is_dir():
        return built
    if len(path.parts) > 1:
        from medmix.curate.publish import hub_mix

        on_the_hub = hub_mix.parse_id(name_or_path)
        if on_the_hub and not Path(path.parts[0]).exists() and path.parts[0] != built.parts[0]:
            try:
                return hub_mix.open_mix(*on_the_hub)
            except WorkError as error:
                raise WorkError(f"there is no folder {path}, and from the Hub: {error}") from error
        raise UsageError(f"no mix at {path}; build one first: medmix build --mixture NAME --out {path}")
    raise UsageError(
        f"no mix at {path} or {built}; build it first: medmix build --mixture {name_or_path} --out {built}"
    )


def needs_train() -> None:
    """Raise unless torch is installed.

    Raises:
        UsageError: it is not.
    """
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise UsageError("training needs more packages; install them: pip install 'medmix[train]'")
