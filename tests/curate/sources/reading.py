"""Reading a whole source through its layouts, as a build does."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from medmix.curate.record import Record, Rejected
from medmix.curate.sources import layouts


def there(source: str, folder: Path) -> list[str]:
    """Give the names of the layouts that lie in a folder."""
    return [layout.name for layout in layouts(source) if layout.shards(folder)]


def rows(source: str, folder: Path, layout: str) -> list[Record | Rejected]:
    """Give every row of a layout, in order; no two have the same id."""
    chosen = next(one for one in layouts(source) if one.name == layout)
    found = [row for shard in chosen.shards(folder) for row in chosen.read(folder, shard)]
    assert len({row.id for row in found}) == len(found)
    return found


def records(source: str, folder: Path, layout: str) -> list[Record]:
    """Give the rows of a layout that has nothing but records."""
    found = rows(source, folder, layout)
    good = [row for row in found if isinstance(row, Record)]
    assert len(good) == len(found)
    return good


def by_split(found: Sequence[Record | Rejected]) -> dict[str, int]:
    """Count rows by split."""
    return dict(Counter(row.split for row in found))


def write(path: Path, content: str | bytes) -> None:
    """Write a file and the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file and the folders it needs."""
    write(path, json.dumps(content, ensure_ascii=False))


def write_hub(path: Path, questions: Sequence[tuple[bytes | None, str | None, str]]) -> None:
    """Write a parquet file with the columns of a Hub copy: image, question, answer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images, asked, answers = zip(*questions, strict=True)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    image = pa.array([{"bytes": data, "path": None} for data in images], kind)
    pq.write_table(pa.table({"image": image, "question": pa.array(asked, pa.string()), "answer": answers}), path)
