"""Count more distinct texts than fit in memory."""

import sqlite3
from collections.abc import Iterator, Mapping
from types import TracebackType


class TextCounter:
    """Counts of texts in a temporary SQLite database, which is deleted when the `with` block ends.

    SQLite uses a few megabytes of memory and sorts by the UTF-8 bytes of a text, so the order is the same on every
    machine.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE counts (text TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID")

    def __enter__(self) -> "TextCounter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Delete the database."""
        self._database.close()

    def add(self, counts: Mapping[str, int]) -> None:
        """Add the counts of texts to the existing counts."""
        self._database.executemany(
            "INSERT INTO counts VALUES (?, ?) ON CONFLICT (text) DO UPDATE SET count = count + excluded.count",
            counts.items(),
        )

    def __len__(self) -> int:
        (count,) = self._database.execute("SELECT count(*) FROM counts").fetchone()
        return int(count)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Yield (text, count) pairs, sorted by text."""
        return self._database.execute("SELECT text, count FROM counts ORDER BY text")

    def most_common(self, limit: int, at_least: int = 1) -> list[tuple[str, int]]:
        """Return the most frequent (text, count) pairs, ties sorted by text."""
        query = "SELECT text, count FROM counts WHERE count >= ? ORDER BY count DESC, text LIMIT ?"
        return self._database.execute(query, (at_least, limit)).fetchall()
