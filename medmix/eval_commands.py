"""The command on scores: eval."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import click

from medmix.curate.errors import UsageError
from medmix.curate.progress import say

from .model_commands import needs_train
from .options import comma_list
from .printing import print_json


@click.command("eval")
@click.argument("checkpoints", nargs=-1, required=True, metavar="CHECKPOINT...")
@click.option("--suite", type=click.Choice(["vqa", "classification", "all"]), default="vqa", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the results.  [default: CHECKPOINT/eval]")
@click.option("--root", type=click.Path(path_type=Path), help="Benchmarks as upstream has them, a folder each.")
@click.option("--mix", type=click.Path(path_type=Path), help="Mix to score on.  [default: the one it was trained on]")
@click.option("--split", default="test", show_default=True, type=click.Choice(["validation", "test"]), help="Of --mix.")
@click.option("--benchmarks", callback=comma_list, metavar="NAME,...", help="Ask only these.")
@click.option("--limit", type=click.IntRange(min=1), help="Ask at most N questions, evenly from the benchmarks.")
@click.option("--controls/--no-controls", default=True, show_default=True, help="Blank and shuffled images, ...")
@click.option("--batch", type=click.IntRange(min=1), help="Questions at a time.  [default: the recipe's]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the shuffled images.")
@click.option("--fresh", is_flag=True, help="Throw away answers that are there.")
@click.option("--allow-leaks", is_flag=True, help="Score benchmarks that the training data holds something of.")
@click.option("--trained-on", type=click.Path(path_type=Path), help="Where the mix of the training lies now.")
@click.option("--leave-out-broken", is_flag=True, help="Leave out questions whose image is missing or broken.")
@click.option(
    "--sets", callback=comma_list, metavar="NAME,...", help="Classification: these sets, or YAML files of sets."
)
@click.option("--recipe", default="transfer", show_default=True, help="Classification: name, or path of a YAML file.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Classification: override the recipe.")
@click.option("--mode", type=click.Choice(["finetune", "linear-probe"]), default="finetune", show_default=True)
@click.option("--shots", type=click.IntRange(min=1), help="Classification: train on N patients of each class.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="That decode images.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def evaluate(
    checkpoints: tuple[str, ...],
    suite: str,
    out: Path | None,
    root: Path | None,
    allow_leaks: bool,
    sets: tuple[str, ...],
    recipe: str,
    overrides: tuple[str, ...],
    mode: Literal["finetune", "linear-probe"],
    shots: int | None,
    workers: int,
    as_json: bool,
    **asked: Any,
) -> None:
    """Score trained models.

    vqa: a model answers the questions of benchmarks, greedily, beside controls that do not see the image; the answers
    are kept beside the scores. With --root it reads them as upstream has them: PathVQA, VQA-RAD, VQA-Med 2019, SLAKE,
    PMC-VQA, OmniMedVQA, µ-Bench, MedQA, MedMCQA, PubMedQA; else it takes a split of a mix. A benchmark that the
    training data holds something of, by the manifest of its mix, is not scored.

    classification: vision encoders are fine-tuned on labelled sets under --root by one recipe; CHECKPOINT may name an
    encoder: biomedclip, pubmedclip, pmc-clip, scratch, timm:NAME, transformers:NAME, a file of weights.

    Stopped and run again, it goes on where it was. Of several models each gets a folder in --out.

    \b
    Examples:
      medmix eval runs/sample-smoke-cpu --split test
      medmix eval runs/v1 --root sources --benchmarks pathvqa,vqa_rad,slake --out results/v1
      medmix eval runs/v1 biomedclip scratch --suite classification --root sets --out results/transfer
    """
    needs_train()
    folder = out or (Path(checkpoints[0]) / "eval" if len(checkpoints) == 1 else None)
    if folder is None:
        raise UsageError("several models are scored into one folder; name it with --out")
    if suite != "vqa" and root is None:
        raise UsageError("classification needs its sets: give the folder that holds them with --root")
    results: list[dict[str, Any]] = []
    if suite in ("vqa", "all"):
        place = folder / "vqa" if suite == "all" else folder
        for name, result in _vqa(checkpoints, place, dict(root=root, allow_leaks=allow_leaks, **asked)).items():
            results.append(result)
            _show(place / name, as_json)
    if root is not None and suite in ("classification", "all"):
        from medmix.evaluate.classification import suite as classification

        place = folder / "classification" if suite == "all" else folder
        results += classification.evaluate(
            checkpoints,
            place,
            root=root,
            sets=sets,
            recipe=recipe,
            mode=mode,
            shots=shots,
            overrides=overrides,
            leaks="keep" if allow_leaks else None,
            workers=workers,
        ).values()
        _show(place, as_json)
    if as_json:
        print_json(results[0] if len(results) == 1 else results)
    say(f"the scores are in {folder}")


def _show(folder: Path, as_json: bool) -> None:
    """Print the table of a folder of results, unless the results themselves are printed."""
    if not as_json:
        click.echo((folder / "table.md").read_text(encoding="utf-8"), nl=False)


def _vqa(checkpoints: Sequence[str], out: Path, asked: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Score the answers of models; give the results by their folder in `out`, which is "" for a single model."""
    from medmix.evaluate.answers import suite
    from medmix.evaluate.answers.loading import Options

    names = [Path(checkpoint).resolve().name for checkpoint in checkpoints] if len(checkpoints) > 1 else [""]
    if len(set(names)) < len(names):
        raise UsageError(f"two models have one name ({', '.join(sorted(names))}); score them one at a time")
    options = Options(**asked)
    return {
        name: suite.evaluate(Path(checkpoint), out / name, options)
        for name, checkpoint in zip(names, checkpoints, strict=True)
    }
