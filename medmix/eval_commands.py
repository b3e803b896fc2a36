"""The command that scores models: eval."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import click

from medmix.curate.errors import UsageError
from medmix.curate.progress import say

from .model_commands import needs_train
from .options import RenamedChoice, comma_list
from .printing import print_json

_SUITE = RenamedChoice(["answers", "classification", "all"], {"vqa": "answers"})
_SPLIT = click.Choice(["validation", "test"])
_MODE = click.Choice(["finetune", "linear-probe"])
_COUNT = click.IntRange(min=1)
_PATH = click.Path(path_type=Path)


def scoring_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that eval and ablate share."""
    for option in (
        click.option("--workers", type=_COUNT, default=1, show_default=True, help="Decoding processes."),
        click.option(
            "--mode", type=_MODE, default="finetune", show_default=True, help="Classification: what to train."
        ),
        click.option(
            "--datasets", callback=comma_list, metavar="NAME,...", help="Classification: names or YAML files."
        ),
        click.option("--allow-leaks", is_flag=True, help="Also score benchmarks that leaked into the training data."),
        click.option("--limit", type=_COUNT, help="Evaluate at most N questions, evenly from the benchmarks."),
        click.option("--benchmarks", callback=comma_list, metavar="NAME,...", help="Evaluate only these benchmarks."),
        click.option("--split", type=_SPLIT, default="test", show_default=True, help="Split of the mix."),
        click.option("--root", type=_PATH, help="Folder with one folder per benchmark or dataset."),
        click.option("--suite", type=_SUITE, default="answers", show_default=True, help="What to score."),
    ):
        command = option(command)
    return command


@click.command("eval")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--out", type=_PATH, help="Output folder.  [default: MODEL/eval]")
@click.option("--mix", type=_PATH, help="Mix to evaluate on.  [default: the training mix]")
@scoring_options
@click.option(
    "--controls/--no-controls",
    default=True,
    show_default=True,
    help="Also score blank-image, shuffled-image and majority baselines.",
)
@click.option("--batch-size", type=_COUNT, help="Questions per batch.  [default: the recipe's]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the shuffled images.")
@click.option("--overwrite", is_flag=True, help="Delete existing predictions and start again.")
@click.option("--train-dataset", type=_PATH, help="Folder of the training mix, if it was moved.")
@click.option("--skip-broken", is_flag=True, help="Skip questions whose image is missing or broken.")
@click.option("--recipe", default="transfer", show_default=True, help="Classification: name or YAML file.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Classification: override the recipe.")
@click.option("--shots", type=_COUNT, help="Classification: train on N patients per class.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def evaluate(
    models: tuple[str, ...],
    suite: str,
    out: Path | None,
    root: Path | None,
    allow_leaks: bool,
    datasets: tuple[str, ...],
    recipe: str,
    overrides: tuple[str, ...],
    mode: Literal["finetune", "linear-probe"],
    shots: int | None,
    workers: int,
    as_json: bool,
    **answer_options: Any,
) -> None:
    """Score trained models.

    answers: the model answers benchmark questions by greedy decoding. Scores are reported next to baselines that do not
    see the image, and predictions are saved. With --root it reads upstream's files: PathVQA, VQA-RAD, VQA-Med 2019,
    SLAKE, PMC-VQA, OmniMedVQA, µ-Bench, MedQA, MedMCQA, PubMedQA. Without it, it takes a split of a mix. Benchmarks
    that leaked into the training data, according to the manifest of its mix, are not scored.

    classification: vision encoders are fine-tuned on labelled datasets under --root by one recipe. MODEL may also be an
    encoder: biomedclip, pubmedclip, pmc-clip, scratch, timm:NAME, transformers:NAME, a weights file.

    An interrupted run resumes when the command is repeated. Several models get one folder each in --out.

    \b
    Examples:
      medmix eval runs/sample-smoke-cpu --split test
      medmix eval runs/v1 --root sources --benchmarks pathvqa,vqa_rad,slake --out results/v1
      medmix eval runs/v1 biomedclip scratch --suite classification --root datasets --out results/transfer
    """
    needs_train()
    folder = out or (Path(models[0]) / "eval" if len(models) == 1 else None)
    if folder is None:
        raise UsageError("several models need a common output folder; name it with --out")
    if suite != "answers" and root is None:
        raise UsageError("classification needs datasets: give the folder that contains them as --root")
    _check_arguments(models, suite, datasets, recipe, overrides)
    results: list[dict[str, Any]] = []
    if suite in ("answers", "all"):
        out = folder / "answers" if suite == "all" else folder
        options = dict(root=root, allow_leaks=allow_leaks, **answer_options)
        for name, result in _score_answers(models, out, options).items():
            results.append(result)
            _show_table(out / name, as_json)
    if root is not None and suite in ("classification", "all"):
        from medmix.evaluate.classification import suite as classification

        out = folder / "classification" if suite == "all" else folder
        results += classification.evaluate(
            models,
            out,
            root=root,
            datasets=datasets,
            recipe=recipe,
            mode=mode,
            shots=shots,
            overrides=overrides,
            leaks="keep" if allow_leaks else None,
            workers=workers,
        ).values()
        _show_table(out, as_json)
    if as_json:
        print_json(results[0] if len(results) == 1 else results)
    say(f"the scores are in {folder}")


def _check_arguments(
    models: Sequence[str], suite: str, datasets: Sequence[str], recipe: str, overrides: tuple[str, ...]
) -> None:
    """Raise for unusable models, datasets or recipes before torch is imported, which takes seconds."""
    from medmix.evaluate.classification.datasets import load as load_dataset
    from medmix.evaluate.classification.recipe import load as load_recipe
    from medmix.train.run.state import find_checkpoint

    if suite != "classification":
        _folder_names(models)
        for model in models:
            find_checkpoint(Path(model))
    if suite != "answers":
        load_recipe(recipe, overrides)
        for dataset in datasets:
            load_dataset(dataset)


def _show_table(folder: Path, as_json: bool) -> None:
    """Print the table of a results folder, unless the results are printed as JSON."""
    if not as_json:
        click.echo((folder / "table.md").read_text(encoding="utf-8"), nl=False)


def _score_answers(models: Sequence[str], out: Path, options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Score the answers of models; return the results by their folder in `out`, which is "" for a single model."""
    from medmix.evaluate.answers import suite
    from medmix.evaluate.answers.loading import EvalOptions

    return {
        name: suite.evaluate(Path(model), out / name, EvalOptions(**options))
        for name, model in zip(_folder_names(models), models, strict=True)
    }


def _folder_names(models: Sequence[str]) -> list[str]:
    names = [Path(model).resolve().name for model in models] if len(models) > 1 else [""]
    if len(set(names)) < len(names):
        raise UsageError(f"several models have the same name ({', '.join(sorted(names))}); score them one at a time")
    return names
