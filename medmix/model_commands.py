"""The commands for models: train, export."""

import sys
from pathlib import Path
from typing import Any

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
@click.option(
    "--from", "source", type=click.Path(path_type=Path), help="Checkpoint or run whose weights to start from."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("--dry-run", is_flag=True, help="Print steps, tokens, FLOPs, hours and memory; train and write nothing.")
@click.option("--device", help="Device to plan for, such as h100-80gb; with --dry-run.  [default: the one here]")
@click.option("--nodes", type=click.IntRange(1), default=1, show_default=True, help="Machines; with --dry-run.")
@click.option("--gpus-per-node", type=click.IntRange(1), default=1, show_default=True, help="With --dry-run.")
def train(
    mixture_name: str, recipe: str, out: Path | None, overrides: tuple[str, ...], source: Path | None, as_json: bool,
    dry_run: bool, device: str | None, nodes: int, gpus_per_node: int,
) -> None:  # fmt: skip
    """Train a vision-language model on a mix.

    A stopped run resumes from its last checkpoint; after SIGTERM or SIGUSR1 the exit status is 143. Shards of a mix
    on the Hub are downloaded on first read.

    \b
    Example:
      medmix train --mixture mixes/sample --recipe smoke-cpu --set run.steps=200
      medmix train --recipe openmedq-7b --dry-run --device h100-80gb --nodes 2 --gpus-per-node 8
    """
    mix = mix_folder(mixture_name)
    needs_train()
    from medmix.train import recipes

    resolved = recipes.load(recipe, overrides)
    if dry_run:
        _print_plan(mix, resolved, device, nodes, gpus_per_node, as_json)
        return
    if device or nodes * gpus_per_node > 1:
        raise UsageError("--device, --nodes and --gpus-per-node are for --dry-run; torchrun starts several processes")
    from medmix.train.rank_zero import is_rank_zero
    from medmix.train.run import loop

    out = out or Path("runs") / f"{Path(mixture_name).name.partition('@')[0]}-{Path(recipe).stem}"
    typed = ["medmix", "train", "--mixture", mixture_name, "--recipe", recipe, "--out", str(out)]
    typed += [word for change in overrides for word in ("--set", change)]
    typed += ["--from", str(source)] if source else []
    summary = loop.train(mix, resolved, out, sys.stderr.isatty(), source, typed)
    if not is_rank_zero():
        return
    if as_json:
        print_json(summary)
    else:
        say(f"trained {summary['steps']} steps; the run is in {out}; next: medmix eval {out}")


def _print_plan(mix: Path, recipe: Any, device: str | None, nodes: int, gpus_per_node: int, as_json: bool) -> None:
    """Print what a run takes; raise if the device's memory does not suffice."""
    from medmix.train import dry_run

    planned = dry_run.plan(mix, recipe, device, nodes, gpus_per_node)
    if as_json:
        print_json(planned.as_dict())
    else:
        for line in planned.lines:
            click.echo(line)
    if planned.too_large:
        raise UsageError(planned.too_large)


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Output folder; must be missing or empty.")
@click.option(
    "--dtype",
    type=click.Choice(["fp32", "bf16", "fp16"]),
    help="Of the weights.  [default: as the language model was trained]",
)
def export(checkpoint: Path, out: Path, dtype: str | None) -> None:
    """Export a trained model as a transformers folder.

    The folder loads without medmix and includes a model card. It is loaded again, and must give the token ids, logits
    and answers of the trained model.

    \b
    Example:
      medmix export runs/sample-smoke-cpu --out models/sample
    """
    needs_train()
    from medmix.train.run.state import find_checkpoint

    checkpoint = find_checkpoint(checkpoint)
    from medmix.train.export import folder, image_text
    from medmix.train.run.checkpoint import read

    export_model = image_text.export if read(checkpoint)[0].model else folder.export
    export_model(checkpoint, out, dtype)
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
