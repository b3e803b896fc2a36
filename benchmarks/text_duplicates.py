"""Time and peak memory of the text stages on generated text: measuring, near-duplicates, n-gram overlap.

Run: python benchmarks/text_duplicates.py [--records 100000 1000000]
Captions, reports and questions of a Zipfian vocabulary, half of them without an image (the worst case: all of these
are compared with each other), the others two to an image. One record in ten is a copy with a few words added, one in
twenty an equal copy, one in twenty differs in a number alone. MinHash beside rensa and datasketch where installed.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from medmix.curate.decide import contamination, duplicates, leaks
from medmix.curate.decide.copy_search import NO_COPIES
from medmix.curate.decide.scan_texts import ScanTexts
from medmix.curate.evaluationsets import external_sets
from medmix.curate.measure import minhash
from medmix.curate.measure.scans import ScanFile
from medmix.curate.measure.text_keys import COLUMNS, Texts, measure_texts
from medmix.curate.mixture import CopyRule, EvaluationSet

PIECE = 50_000
VOCABULARY = 50_000
EVALUATION = [EvaluationSet("medqa", "test")]
ITEMS = 5_000


def texts(records: int, seed: int) -> Iterator[str]:
    """Make captions of 12 to 60 words, copies of earlier ones among them."""
    draws = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    vocabulary = ["".join(draws.choice(letters, draws.integers(3, 12))) for _ in range(VOCABULARY)]
    recent: list[str] = []
    for number in range(records):
        kind = number % 20
        if kind in (5, 15) and recent:
            text = f"{recent[number % len(recent)]} {vocabulary[number % 997]}"
        elif kind == 11 and recent:
            text = recent[number % len(recent)]
        elif kind == 19 and recent:
            text = f"{recent[number % len(recent)]} {number}"
        else:
            places = np.minimum(draws.zipf(1.2, draws.integers(12, 60)), VOCABULARY) - 1
            text = " ".join(vocabulary[place] for place in places)
            recent = [*recent[-999:], text]
        yield text


def write_scans(folder: Path, records: int) -> tuple[list[ScanFile], float]:
    """Measure and store the texts in pieces, as pass 1 does; give the scans and the seconds of measuring alone."""
    scans, seconds = [], 0.0
    source = texts(records, 0)
    for piece in range(0, records, PIECE):
        rows: dict[str, list[Any]] = {name: [] for name in ("question", *COLUMNS)}
        for start in range(piece, min(piece + PIECE, records), 256):
            batch = [next(source) for _ in range(min(256, piece + PIECE - start, records - start))]
            started = time.perf_counter()
            keys = measure_texts([Texts(text, "", "", ()) for text in batch])
            seconds += time.perf_counter() - started
            rows["question"] += batch
            for name in COLUMNS:
                rows[name] += [getattr(key, name) for key in keys]
        frame = pl.DataFrame(rows, schema_overrides=COLUMNS).with_columns(
            answer=pl.lit(""), context=pl.lit(""), explanation=pl.lit(""), choices=pl.lit([], pl.List(pl.String))
        )
        path = folder / f"{piece}.parquet"
        frame.write_parquet(path)
        scans.append(ScanFile("roco", path))
    return scans, seconds


def table(scans: list[ScanFile]) -> pl.DataFrame:
    """Give the rows as in pass 2; every second one has an image, which it shares with one other."""
    frames = [
        pl.read_parquet(scan.path, columns=["question", "text_key", "question_answer_key", "near_key"]).select(
            pl.lit(number, pl.UInt32).alias("scan"),
            pl.int_range(pl.len(), dtype=pl.UInt32).alias("scan_row"),
            pl.col("question").str.len_bytes().alias("text_bytes"),
            pl.exclude("question"),
        )
        for number, scan in enumerate(scans)
    ]
    place = pl.int_range(pl.len())
    is_item = place < ITEMS
    rows = pl.concat(frames).select(
        pl.all(),
        index=place.cast(pl.UInt32),
        id=pl.format("roco/{}", place),
        source=pl.when(is_item).then(pl.lit("medqa")).otherwise(pl.lit("roco")),
        upstream_split=pl.when(is_item).then(pl.lit("test")).otherwise(pl.lit("train")),
        split=pl.when(is_item).then(pl.lit("test")).otherwise(pl.lit("train")),
        rank=pl.lit(0),
        openness=pl.lit(0),
        area=pl.lit(0),
        stage=pl.lit(""),
        reason=pl.lit(""),
        group=pl.lit(""),
        images=pl.when(place % 2 == 0).then(pl.concat_list(place // 4)).otherwise([]).cast(pl.List(pl.UInt32)),
        image_cluster=pl.when(place % 2 == 0).then(place // 4 + 1).otherwise(0),
    )
    return rows.with_columns(representatives="images")


def stages(records: int) -> None:
    """Run all stages in this process and print one JSON line: seconds by stage, drops, peak MiB."""
    with tempfile.TemporaryDirectory() as scratch:
        scans, measured = write_scans(Path(scratch), records)
        before = _peak()
        rows, scanned = table(scans), ScanTexts(scans, {})
        seconds = {"measure": measured}
        drops = {}
        is_evaluation = leaks.is_evaluation(EVALUATION)
        copies, external = NO_COPIES, external_sets.number_items({}, rows.height, rows.height)
        started = time.perf_counter()
        matches = leaks.find_matches(rows, rows, EVALUATION, scanned, copies, external, CopyRule())
        drops["overlap"] = contamination.drops(rows, matches, rows, EVALUATION, external)
        seconds["overlap"] = time.perf_counter() - started
        for name in ("exact", "near"):
            started = time.perf_counter()
            if name == "exact":
                drops[name] = duplicates.exact(rows, copies, is_evaluation)
            else:
                drops[name] = duplicates.near(rows, copies, is_evaluation, scanned, 0.8)
            rows = rows.join(drops[name], on="index", how="anti", maintain_order="left")
            seconds[name] = time.perf_counter() - started
        counts = {name: found.height for name, found in drops.items()}
        print(json.dumps({"seconds": seconds, "drops": counts, "before": before, "peak": _peak()}))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peers() -> None:
    """Print signatures a second of ours and of the peers, 58 hashed shingles a text, 120 hash functions."""
    count, size = 20_000, 58
    hashes = np.random.default_rng(0).integers(0, 2**63, count * size, dtype=np.uint64)
    starts = np.arange(0, count * size + 1, size)
    started = time.perf_counter()
    for place in range(0, count, 256):
        part = starts[place : place + 257]
        minhash.bands(hashes[part[0] : part[-1]], part - part[0])
    print(f"ours (NumPy) {count / (time.perf_counter() - started):,.0f} texts/s")
    if find_spec("rensa"):
        from rensa import RMinHash

        started = time.perf_counter()
        RMinHash.digest_matrix_from_flat_token_hashes(hashes, starts.astype(np.uint64), num_perm=120, seed=1)
        print(f"rensa        {count / (time.perf_counter() - started):,.0f} texts/s")
    if find_spec("datasketch"):
        from datasketch import MinHash

        empty = MinHash(num_perm=120, hashfunc=lambda value: int(value) & 0xFFFFFFFF)
        started = time.perf_counter()
        for place in range(2_000):
            empty.copy().update_batch(hashes[starts[place] : starts[place + 1]])
        print(f"datasketch   {2_000 / (time.perf_counter() - started):,.0f} texts/s")


def main() -> None:
    """Print one line per size, each measured in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        stages(arguments.child)
        return
    peers()
    print("records    measure_texts s  texts/s  overlap s  exact s  near s  dropped: overlap  exact  near  peak MiB")
    for records in arguments.records:
        done = subprocess.run(
            [sys.executable, __file__, "--child", str(records)], check=True, stdout=subprocess.PIPE, text=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
        seconds, drops = found["seconds"], found["drops"]
        print(
            f"{records:9,}  {seconds['measure']:9.1f}  {records / seconds['measure']:7,.0f}  {seconds['overlap']:9.1f}"
            f"  {seconds['exact']:7.1f}  {seconds['near']:6.1f}  {drops['overlap']:16,}  {drops['exact']:5,}"
            f"  {drops['near']:5,}  {found['peak']:8,.0f}"
        )


if __name__ == "__main__":
    main()
