"""What was published loads with `datasets` by its tag, whole and streamed, and equals the folder row by row."""

import json
import os
import subprocess
import sys

import pyarrow.parquet as pq

from .conftest import REPO

LOAD = """
import hashlib, json, sys
import datasets

def digests(rows):
    held = rows.cast_column("images", datasets.List(datasets.Image(decode=False)))
    return {row["id"]: digest(row) for row in held}

def digest(row):
    images = [[hashlib.sha256(image["bytes"]).hexdigest(), image["path"]] for image in row.pop("images")]
    return hashlib.sha256(json.dumps([row, images], sort_keys=True).encode()).hexdigest()

whole = datasets.load_dataset(sys.argv[1], revision="v1.0.0")
streamed = datasets.load_dataset(sys.argv[1], revision="v1.0.0", streaming=True)
one = datasets.load_dataset(sys.argv[1], "slake", revision="v1.0.0", split="train", streaming=True)
print(json.dumps({
    "whole": {split: digests(rows) for split, rows in whole.items()},
    "streamed": {split: digests(rows) for split, rows in streamed.items()},
    "one": [row["id"] for row in one],
    "opened": next(iter(one))["images"][0].size,
}))
"""


def test_the_dataset_on_the_hub_equals_the_folder(hub, run, writer, mine, environment):
    assert run("push", mine, "--repo", REPO, "--yes")[0] == 0
    done = subprocess.run(
        [sys.executable, "-c", LOAD, REPO],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    there = {}
    for shard in sorted(mine.glob("data/*/*.parquet")):
        for row in pq.read_table(shard).to_pylist():
            there.setdefault(row["split"], {})[row["id"]] = digest(row)
    assert found["whole"] == found["streamed"] == there
    train = pq.read_table(mine / "data/slake/train-00000-of-00001.parquet", columns=["id"])["id"].to_pylist()
    assert found["one"] == train
    assert found["opened"] == [128, 120]


def digest(row: dict) -> str:
    import hashlib

    images = [[hashlib.sha256(image["bytes"]).hexdigest(), image["path"]] for image in row.pop("images")]
    return hashlib.sha256(json.dumps([row, images], sort_keys=True).encode()).hexdigest()
