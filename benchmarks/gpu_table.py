"""The table of `gpu.sh`, from the files that its parts left: whole, failed, killed and never started ones alike.

python benchmarks/gpu_table.py FOLDER
"""

import json
import sys
from pathlib import Path
from typing import Any

COLUMNS = ("part", "state", "tokens/s", "MFU", "peak GiB", "predicted", "ratio", "")
STATES = {0: "ok", 124: "timeout", 137: "killed"}


def read_row(folder: Path, name: str) -> tuple[str, ...]:
    """Give a part's row: its figures, or its last line if it did not end well."""
    code, row = _code(folder / f"{name}.rc"), _figures(folder / f"{name}.row")
    state = "skipped" if code is None else STATES.get(code, f"exit {code}")
    if code is None and (folder / f"{name}.log").exists():
        state = "stopped"
    note = str(row.get("note", "")) if code == 0 else _last_line(folder / f"{name}.log")
    peak, predicted = row.get("memory_gib"), row.get("predicted_gib")
    ratio = f"{peak / predicted:.2f}" if peak and predicted else "-"
    return (
        name, state, _number(row.get("tokens_per_second"), ".0f"), _number(row.get("mfu"), ".1%"),
        _number(peak, ".2f"), _number(predicted, ".2f"), ratio, note,
    )  # fmt: skip


def format_table(folder: Path) -> str:
    """Give the table of all parts in `FOLDER/parts`, in order."""
    try:
        names = (folder / "parts").read_text(encoding="utf-8").split()
    except OSError:
        names = []
    rows = [COLUMNS, *(read_row(folder, name) for name in names)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS) - 1)]
    lines = []
    for row in rows:
        left, *numbers = (cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=False))
        cells = [row[0].ljust(widths[0]), row[1].ljust(widths[1]), left, *numbers, row[-1]]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _number(value: Any, form: str) -> str:
    return format(value, form) if isinstance(value, (int, float)) else "-"


def _code(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _figures(path: Path) -> dict[str, Any]:
    """Read a part's figures; a part that was killed may have written none, or half of them."""
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return row if isinstance(row, dict) else {}


def _last_line(path: Path) -> str:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return "no time was left"
    return next((line for line in reversed(lines) if line), "no output")[:160]


if __name__ == "__main__":
    print(format_table(Path(sys.argv[1])))
