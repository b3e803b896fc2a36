"""Plots the loss of a run from its log."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from medmix.curate.errors import WorkError
from medmix.curate.shards import replacing

from .metrics_logger import read_held_out, read_log

FILE_NAME = "loss.png"


def plot_losses(log: Path) -> Path:
    """Plot the loss over all records and of each source, as `loss.png` next to the log; give its path.

    Points are steps. Lines are moving averages over a twentieth of the steps, of a source over steps that have it.
    Dotted lines are held-out losses.

    Raises:
        WorkError: it cannot be written.
    """
    entries, held_out = read_log(log), read_held_out(log)
    steps = [entry["step"] for entry in entries]
    window = max(1, len(entries) // 20)
    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.subplots()
    losses = [entry["loss"] for entry in entries]
    axes.plot(steps, losses, ".", color="0.8", markersize=3)
    axes.plot(steps, moving_average(losses, window), color="black", linewidth=2, label="all")
    sources = sorted({source for entry in entries for source in entry["loss_by_source"]})
    colours = {source: f"C{place % 10}" for place, source in enumerate(sources)}
    for place, source in enumerate(sources):
        found = {entry["step"]: loss for entry in entries if (loss := entry["loss_by_source"].get(source)) is not None}
        axes.plot([*found], moving_average([*found.values()], window), linewidth=1, color=colours[source],
                  label=source, linestyle="-" if place < 10 else "--")  # fmt: skip
    if held_out:
        found = {entry["step"]: entry["held_out_loss"] for entry in held_out}
        axes.plot([*found], [*found.values()], "o:", color="black", markersize=4, label="held-out, all")
    for source in sorted({source for entry in held_out for source in entry["held_out_loss_by_source"]}):
        found = {entry["step"]: entry["held_out_loss_by_source"][source] for entry in held_out}
        axes.plot(
            [*found], [*found.values()], "o:", color=colours.get(source), markersize=2, label=f"held-out, {source}"
        )
    axes.set(xlabel="step", ylabel="loss, nats per answer token", ylim=(0, None))
    axes.legend(fontsize="small", ncols=2)
    path = log.with_name(FILE_NAME)
    try:
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=120)
    except OSError as error:
        raise WorkError(f"{path} cannot be written ({error}); make room and type the same command again") from error
    return path


def moving_average(values: Sequence[float], window: int) -> np.ndarray:
    """Give at each index the mean of the last `window` values, or of all values so far if they are fewer."""
    sums, ends = np.cumsum([0.0, *values]), np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)
