"""Does pretraining on the mix help? A small tower from scratch against the same one pretrained, on real samples.

Builds a mix of the VQA-RAD and PathVQA samples, trains a small vision-language model on it on the CPU, detaches its
tower, and transfers both to BUSI, BreastMNIST, brain-tumour MRI and HAM10000 by fine-tuning and by linear probe under
the recipe `smoke`, three seeds each. Prints both tables, and what the suite has to say about the sets. The samples are
small, so intervals are wide; whatever comes out is printed.

    OMP_NUM_THREADS=1 python benchmarks/transfer_real.py --data ../shared/data --steps 400
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from medmix.curate.build import BuildOptions, build  # noqa: E402
from medmix.curate.mixtures import load as load_mixture  # noqa: E402
from medmix.evaluate import intervals  # noqa: E402
from medmix.evaluate.classification.runs import MODES  # noqa: E402
from medmix.evaluate.classification.suite import evaluate, table  # noqa: E402
from medmix.train import recipes  # noqa: E402
from medmix.train.run import loop  # noqa: E402

SETS = ("busi", "breastmnist", "brain_tumor_mri", "ham10000")
SHAPE = "{patch_size: 8, embed_dim: 128, depth: 4, num_heads: 4}"


def paired(folder: Path, names: list[str], benchmark: str) -> str:
    """Compare the share of right answers, the mean over seeds on each test image: paired bootstrap over units."""
    right: list[dict[str, list[bool]]] = []
    groups: dict[str, str] = {}
    for name in names:
        mine: dict[str, list[bool]] = {}
        for line in (folder / name / "predictions.jsonl").read_text().splitlines():
            entry = json.loads(line)
            if entry["benchmark"] == benchmark:
                mine.setdefault(entry["id"], []).append(entry["predicted"] == entry["labels"])
                groups[entry["id"]] = entry["group"]
        right.append(mine)
    pretrained, scratch = ([float(np.mean(mine[key])) for key in groups] for mine in right)
    found = intervals.paired_difference(pretrained, scratch, list(groups.values()))
    return f"{benchmark} {found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}], p = {found.p:.3f}"


def main() -> None:
    """Print two tables and the notes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--steps", type=int, default=400, help="of pretraining, 16 records each")
    parser.add_argument("--epochs", type=int, default=20, help="of fine-tuning")
    parser.add_argument("--keep", type=Path, help="folder for the mix, the run and the results")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        mix, run = folder / "mix", folder / "run"
        if not (mix / "manifest.json").exists():
            options = BuildOptions(only=("vqa_rad", "pathvqa"), workers=1)
            build(load_mixture("v1"), arguments.data, mix, options)
        started = time.perf_counter()
        made = recipes.load(
            "smoke-cpu",
            (f"vision.kwargs={SHAPE}", f"run.steps={arguments.steps}", f"run.checkpoint_every={arguments.steps}"),
        )
        summary = loop.train(mix, made, run, False)
        print(
            f"pretrained {summary['steps']} steps in {time.perf_counter() - started:.0f} s: "
            f"loss {summary['first_loss']:.3f} -> {summary['last_loss']:.3f} nats per answer token",
            flush=True,
        )
        for mode in MODES:
            started = time.perf_counter()
            found = evaluate(
                ["scratch", str(run)],
                folder / mode,
                root=arguments.data,
                datasets=SETS,
                recipe="smoke",
                mode=mode,
                overrides=(f"scratch.kwargs={SHAPE}", f"epochs={arguments.epochs}", "n_bootstrap=2000"),
                cache=folder / "cache",
            )
            print(f"\n{mode}, {time.perf_counter() - started:.0f} s\n\n{table(found)}", flush=True)
            names = [path.parent.name for path in sorted((folder / mode).glob("*/results.json"))]
            names.sort(key=lambda name: name == "scratch")  # the pretrained one first
            print(
                "accuracy, pretrained less scratch:", *[paired(folder / mode, names, name) for name in SETS], sep="\n  "
            )
        for note in found["scratch"]["notes"]:
            print(note)


if __name__ == "__main__":
    main()
