"""Figures as they stand in articles, drawn by matplotlib: twelve families, each with the data that a seed gives.

Two figures of one family have the same axes, labels and layout, and other data: as pictures they are nearly the same,
as findings they are different.
"""

from collections.abc import Callable
from io import BytesIO

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

mpl.use("Agg")

GROUPS = ("Control", "Low dose", "High dose", "Placebo", "Combined")
SIZE = 6.0, 4.5
DPI = 100


def _flow_chart(axes: Axes, draws: np.random.Generator) -> None:
    """Draw a CONSORT diagram with other numbers."""
    axes.axis("off")
    counts = np.sort(draws.integers(20, 999, 6))[::-1]
    steps = (
        "Assessed for eligibility",
        "Excluded",
        "Randomised",
        "Allocated to drug",
        "Allocated to placebo",
        "Analysed",
    )
    places = ((0.5, 0.92), (0.8, 0.74), (0.5, 0.56), (0.25, 0.34), (0.75, 0.34), (0.5, 0.1))
    for step, count, (x, y) in zip(steps, counts, places, strict=True):
        axes.text(x, y, f"{step}\n(n = {count})", ha="center", va="center", fontsize=9, bbox={"fc": "white"})
    for (x, y), (to_x, to_y) in ((places[0], places[2]), (places[2], places[3]), (places[2], places[4])):
        axes.annotate("", (to_x, to_y + 0.07), (x, y - 0.07), arrowprops={"arrowstyle": "->"})


def _bars(axes: Axes, draws: np.random.Generator) -> None:
    heights = draws.uniform(10, 95, len(GROUPS))
    axes.bar(GROUPS, heights, yerr=draws.uniform(2, 8, len(GROUPS)), capsize=4)
    axes.set(ylim=(0, 110), ylabel="Response (%)", title="Response by treatment")


def _roc(axes: Axes, draws: np.random.Generator) -> None:
    false = np.linspace(0, 1, 200)
    for name in ("Model A", "Model B"):
        area = draws.uniform(0.7, 0.97)
        axes.plot(false, false ** (1 / area - 1), label=f"{name} (AUC = {area:.2f})")
    axes.plot([0, 1], [0, 1], "k--")
    axes.set(xlabel="1 - specificity", ylabel="Sensitivity", title="ROC curves")
    axes.legend(loc="lower right")


def _forest(axes: Axes, draws: np.random.Generator) -> None:
    studies = [f"Study {number}" for number in range(1, 9)]
    middle, half = draws.normal(1, 0.3, 8), draws.uniform(0.1, 0.5, 8)
    axes.errorbar(middle, range(8), xerr=half, fmt="s", color="k", capsize=3)
    axes.axvline(1, linestyle="--", color="grey")
    axes.set(xlim=(0, 2.5), yticks=range(8), yticklabels=studies, xlabel="Odds ratio (95 % CI)")


def _table(axes: Axes, draws: np.random.Generator) -> None:
    axes.axis("off")
    cells = [[f"{draws.uniform(10, 90):.1f}", f"{draws.integers(10, 200)}", f"{draws.random():.3f}"] for _ in range(8)]
    rows = ("Age", "Male", "BMI", "Diabetes", "Smoker", "Stroke", "LDL", "HbA1c")
    axes.table(cells, rowLabels=rows, colLabels=("Mean", "n", "p"), loc="center").scale(1, 1.6)


def _scatter(axes: Axes, draws: np.random.Generator) -> None:
    x = draws.normal(50, 15, 80)
    axes.scatter(x, x * draws.uniform(0.3, 1.2) + draws.normal(0, 10, 80), s=14)
    axes.set(xlim=(0, 100), ylim=(0, 120), xlabel="Age (years)", ylabel="Volume (ml)", title="Correlation")


def _survival(axes: Axes, draws: np.random.Generator) -> None:
    for name in ("Treated", "Untreated"):
        times = np.sort(draws.exponential(draws.uniform(20, 60), 40))
        axes.step(np.r_[0, times], np.linspace(1, 0.1, 41), where="post", label=name)
    axes.set(xlim=(0, 60), ylim=(0, 1.05), xlabel="Months", ylabel="Survival", title="Kaplan-Meier estimate")
    axes.legend()


def _box_plot(axes: Axes, draws: np.random.Generator) -> None:
    axes.boxplot([draws.normal(draws.uniform(30, 70), draws.uniform(5, 15), 60) for _ in GROUPS])
    axes.set(ylim=(0, 110), xticklabels=GROUPS, ylabel="Score", title="Score by group")


def _heat_map(axes: Axes, draws: np.random.Generator) -> None:
    axes.imshow(draws.uniform(0, 1, (10, 10)), cmap="viridis", vmin=0, vmax=1)
    axes.set(title="Expression", xlabel="Sample", ylabel="Gene")


def _confusion(axes: Axes, draws: np.random.Generator) -> None:
    counts = draws.integers(0, 100, (4, 4)) + np.diag(draws.integers(150, 400, 4))
    axes.imshow(counts, cmap="Blues", vmin=0, vmax=500)
    for row, column in np.ndindex(4, 4):
        axes.text(column, row, str(counts[row, column]), ha="center", va="center")
    axes.set(title="Confusion matrix", xlabel="Predicted", ylabel="Actual", xticks=range(4), yticks=range(4))


def _lines(axes: Axes, draws: np.random.Generator) -> None:
    for name in GROUPS[:3]:
        axes.plot(range(12), 40 + np.cumsum(draws.normal(0, 6, 12)), marker="o", label=name)
    axes.set(ylim=(0, 90), xlabel="Week", ylabel="Level (mg/l)", title="Course")
    axes.legend(loc="upper left")


def _histogram(axes: Axes, draws: np.random.Generator) -> None:
    axes.hist(draws.normal(draws.uniform(30, 70), draws.uniform(6, 16), 400), bins=np.arange(0, 101, 5), edgecolor="k")
    axes.set(xlim=(0, 100), ylim=(0, 150), xlabel="Age (years)", ylabel="Patients", title="Age at diagnosis")


FAMILIES: dict[str, Callable[[Axes, np.random.Generator], None]] = {
    "flow chart": _flow_chart,
    "bars": _bars,
    "ROC": _roc,
    "forest plot": _forest,
    "table": _table,
    "scatter": _scatter,
    "survival": _survival,
    "box plot": _box_plot,
    "heat map": _heat_map,
    "confusion matrix": _confusion,
    "lines": _lines,
    "histogram": _histogram,
}


def draw(family: str, seed: int) -> Image.Image:
    """Draw a figure of a family with the data of a seed, RGB."""
    figure = Figure(SIZE, dpi=DPI)
    FAMILIES[family](figure.subplots(), np.random.default_rng(seed))
    figure.tight_layout()
    out = BytesIO()
    figure.savefig(out, format="png")
    return Image.open(out).convert("RGB")
