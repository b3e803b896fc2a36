"""The loss of a run, drawn from its log."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from medmix.curate.errors import WorkError
from medmix.curate.shards import replacing

NAME = "loss.png"


def draw_losses(log: Path) -> Path:
    """Draw the loss over all records and of each source beside the log, as `loss.png`; give its path.

    Points are steps. Lines are running means over a twentieth of the steps, of a source over steps that have it.

    Raises:
        WorkError: it cannot be written.
    """
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    steps = [entry["step"] for entry in entries]
    window = max(1, len(entries) // 20)
    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.subplots()
    losses = [entry["loss"] for entry in entries]
    axes.plot(steps, losses, ".", color="0.8", markersize=3)
    axes.plot(steps, list(running_mean(losses, window)), color="black", linewidth=2, label="all")
    for place, source in enumerate(sorted({source for entry in entries for source in entry["losses"]})):
        found = [(entry["step"], entry["losses"][source]) for entry in entries if source in entry["losses"]]
        means = list(running_mean([loss for _, loss in found], window))
        axes.plot([step for step, _ in found], means, linewidth=1, color=f"C{place % 10}", label=source,
                  linestyle="-" if place < 10 else "--")  # fmt: skip
    axes.set(xlabel="step", ylabel="loss, nats per answer token", ylim=(0, None))
    axes.legend(fontsize="small", ncols=2)
    path = log.with_name(NAME)
    try:
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=120)
    except OSError as error:
        raise WorkError(f"{path} cannot be written ({error}); make room and type the same command again") from error
    return path


def running_mean(values: Sequence[float], window: int) -> Iterator[float]:
    """Yield the mean of the last `window` values, or of as many as there are, at each place."""
    sums = np.cumsum([0.0, *values])
    for end in range(1, len(sums)):
        start = max(0, end - window)
        yield float((sums[end] - sums[start]) / (end - start))
