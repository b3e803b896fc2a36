"""A tiny model trained on real VQA-RAD and PathVQA train rows, scored on their real test rows beside its controls.

The language model is stories260K, the tower starts at random. The mix is that of `v1`, so train rows that share an
image with a test row are gone. Prints the scores with their intervals, and how the model differs from each control on
the same questions (paired cluster bootstrap).

    python benchmarks/vqa_real.py --data ../shared/data --steps 600
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "benchmarks"))

import stories  # noqa: E402

from medmix.curate.build import BuildOptions, build  # noqa: E402
from medmix.curate.mixtures import load as load_mixture  # noqa: E402
from medmix.evaluate import intervals, metrics  # noqa: E402
from medmix.evaluate.answers import suite  # noqa: E402
from medmix.evaluate.answers.loading import EvalOptions  # noqa: E402
from medmix.train.run import loop  # noqa: E402

BENCHMARKS = ("vqa_rad", "pathvqa")
CONTROLS = ("blank_image", "shuffled_images", "majority_answer", "always_yes")


def main() -> None:
    """Print one row for each benchmark, subset and metric, then one for each control."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="keep the results here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{arguments.threads} threads on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = arguments.data / "stories260K"
        stories.convert(source / "stories260K.bin", source / "tok512.bin", folder / "language")
        manifest = build(load_mixture("v1"), arguments.data, folder / "mix", BuildOptions(only=BENCHMARKS, workers=1))
        kept = {name: manifest["sources"][name]["kept_by_split"] for name in BENCHMARKS}
        print(f"kept: {kept}")
        started = time.perf_counter()
        made = stories.train_recipe(folder, folder / "language", arguments.steps)
        summary = loop.train(folder / "mix", made, folder / "run", False)
        print(f"trained {arguments.steps} steps in {time.perf_counter() - started:.0f} s: ", end="")
        print(f"loss {summary['first_loss']:.3f} -> {summary['last_loss']:.3f} nats per answer token")
        started = time.perf_counter()
        out = arguments.out or folder / "eval"
        results = suite.evaluate(folder / "run", out, EvalOptions(root=arguments.data, benchmarks=BENCHMARKS))
        print(f"scored in {time.perf_counter() - started:.0f} s\n")
        print((out / "table.md").read_text(encoding="utf-8").split("## Every metric")[0])
        differences([json.loads(line) for line in (out / "predictions.jsonl").read_text("utf-8").splitlines()])
        for note in results["notes"]:
            print(f"note: {note}")


def differences(lines: list[dict[str, Any]]) -> None:
    """Print how much higher the model's exact match is than each control's, on the same questions."""
    said: dict[tuple[str, str], dict[str, dict[str, Any]]] = defaultdict(dict)
    for line in lines:
        said[line["benchmark"], line["system"]][line["id"]] = line
    print("exact match, model minus control: difference [95 % interval], p")
    for benchmark in BENCHMARKS:
        for control in CONTROLS:
            mine, other = said[benchmark, "model"], said[benchmark, control]
            ids = sorted(mine.keys() & other.keys())
            one, two = ([_right(some[id_]) for id_ in ids] for some in (mine, other))
            found = intervals.paired_difference(one, two, [mine[id_]["group"] for id_ in ids])
            interval = f"[{found.low:+.3f}, {found.high:+.3f}]"
            print(f"{benchmark:<8} {control:<16} {found.value:+.3f} {interval}, p {found.p:.4f}")


def _right(line: dict[str, Any]) -> float:
    return metrics.best_over_references(metrics.exact_match, line["prediction"], line["references"])


if __name__ == "__main__":
    main()
