"""Count more different texts than memory holds."""

import sqlite3
from collections.abc import Iterator, Mapping
from types import TracebackType


class Tally:
    """How often each text was met; lies in a temporary file that goes when the block ends.

    SQLite keeps a few megabytes in memory and sorts by the bytes of the UTF-8 text, so the order never depends on
    the machine.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE tally (text TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID")

    def __enter__(self) -> "Tally":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def add(self, counts: Mapping[str, int]) -> None:
        """Add the counts of some texts to those there are."""
        self._database.executemany(
            "INSERT INTO tally VALUES (?, ?) ON CONFLICT (text) DO UPDATE SET count = count + excluded.count",
            counts.items(),
        )

    def __len__(self) -> int:
        (count,) = self._database.execute("SELECT count(*) FROM tally").fetchone()
        return int(count)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Give (text, count) pairs, sorted by text."""
        return self._database.execute("SELECT text, count FROM tally ORDER BY text")

    def most_common(self, limit: int, at_least: int = 1) -> list[tuple[str, int]]:
        """Give the most frequent (text, count) pairs, equally frequent ones sorted by text."""
        query = "SELECT text, count FROM tally WHERE count >= ? ORDER BY count DESC, text LIMIT ?"
        return self._database.execute(query, (at_least, limit)).fetchall()
