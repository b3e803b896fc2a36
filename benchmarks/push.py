"""Pushes that are killed, faulted and repeated, against a Hub on this machine; beside the clients' own uploads.

    python benchmarks/push.py --root ../shared/data --sources vqa_rad --shard-megabytes 5 --rate 2 --kills 30

A mix of the named sources is built in small shards. Printed: bytes sent beside bytes needed when a push is killed at
random moments and run again, and states found that look finished and are not; every fault of the plan in
tests/curate/publish/test_hub_errors.py; wall time of a first push and of a second one, beside `upload_folder` and
`push_to_hub` of the same data; whether `load_dataset` gives back the folder's rows. Xet is off.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_OFFLINE"] = "0"
os.environ["HF_TOKEN"] = "hf_writer"
REPO = "someone/pictures"

OURS = """
import sys, time
from medmix.cli import main
import medmix.curate.publish.push, datasets
started = time.monotonic()
try:
    main(["push", sys.argv[1], "--repo", sys.argv[2], "--yes"])
except SystemExit as stop:
    assert stop.code == 0, stop.code
print(time.monotonic() - started)
"""

PEER = """
import sys, time
import datasets
from huggingface_hub import HfApi
mix, kind, repo = sys.argv[1:]
HfApi().create_repo(repo, repo_type="dataset", exist_ok=True)
if kind == "upload_folder":
    started = time.monotonic()
    HfApi().upload_folder(repo_id=repo, folder_path=mix, repo_type="dataset", allow_patterns=["data/**", "*.md"])
else:
    rows = datasets.load_dataset("parquet", data_files=f"{mix}/data/*/train-*.parquet")
    started = time.monotonic()
    rows.push_to_hub(repo, max_shard_size="2MB")
print(time.monotonic() - started)
"""


def built(root: Path | None, sources: list[str], megabytes: int, out: Path) -> Path:
    """Build the sources in small shards."""
    from medmix.curate import mixtures
    from medmix.curate.build import BuildOptions, build

    rule = mixtures.load("sample" if root is None else "v1")
    build(replace(rule, shard_megabytes=megabytes), root, out, BuildOptions(only=tuple(sources), workers=2))
    return out


class Bench:
    """A mix, a Hub for each trial, and the command as a process of its own."""

    def __init__(self, mix: Path, work: Path, rate: float) -> None:
        self.mix, self.work, self.rate = mix, work, rate
        self.number = 0

    def hub(self):
        """Give a new Hub."""
        from tests.hub import Hub

        self.number += 1
        hub = Hub(self.work / f"hub-{self.number}", page=1000)
        hub.take(self.rate)
        return hub

    def environment(self, hub) -> dict[str, str]:
        """Give what a process needs to find it."""
        home = {"HF_HOME": str(self.work / "home"), "HF_DATASETS_CACHE": str(self.work / f"cache-{self.number}")}
        return {**os.environ, "HF_ENDPOINT": hub.url, "PYTHONPATH": str(ROOT), **home}

    def push(self, hub) -> subprocess.Popen:
        """Begin a push."""
        command = [sys.executable, "-m", "medmix", "push", str(self.mix), "--repo", REPO, "--yes"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=ROOT, env=self.environment(hub), **quiet)

    def finish(self, hub) -> float:
        """Push to the end and give the seconds."""
        started = time.monotonic()
        process = self.push(hub)
        _, err = process.communicate()
        if process.returncode:
            raise SystemExit(f"a push failed: {err.decode()}")
        return time.monotonic() - started

    def needed(self) -> dict[str, bytes]:
        """Give all files that have to arrive."""
        (folder,) = (self.mix / ".work/push").glob("release-*")
        files = [path for path in folder.rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def wrong(hub, needed: dict[str, bytes]) -> int:
    """Count what looks finished and is not: a tag, or card and manifest, without all files of these bytes."""
    repository = hub.repositories.get(REPO)
    if repository is None:
        return 0
    found = 0
    for commit in repository.commits:
        there = {name: file.sha256 for name, file in repository.commits[commit].items()}
        is_whole = all(there.get(name) == hashlib.sha256(data).hexdigest() for name, data in needed.items())
        looks_so = commit in repository.tags.values() or {"README.md", "manifest.json"} & set(there)
        found += bool(looks_so) and not is_whole
    return found


def kills(bench: Bench, times: int, seed: int) -> None:
    """Kill a push at random moments between its first request and its end, run it again, and count bytes."""
    draw = random.Random(seed)
    hub = bench.hub()
    with hub.running():
        process = bench.push(hub)
        while not hub.log:
            time.sleep(0.001)
        started = time.monotonic()
        process.communicate()
        lasts = time.monotonic() - started
    needed = bench.needed()
    blobs = {hashlib.sha256(data).hexdigest(): len(data) for name, data in needed.items() if name.endswith(".parquet")}
    total = sum(blobs.values())
    print(f"\n{len(blobs)} tables, {total:,} bytes; a push lasts {lasts:.2f} s from its first request")
    again = partial = wrongs = landed = 0
    for _ in range(times):
        hub = bench.hub()
        with hub.running():
            process = bench.push(hub)
            while not hub.log:
                time.sleep(0.001)
            time.sleep(draw.uniform(0, lasts))
            process.kill()
            process.communicate()
            hub.wait_until_idle()
            landed += process.returncode < 0
            wrongs += wrong(hub, needed)
            bench.finish(hub)
            wrongs += wrong(hub, needed)
            there = hub.content(REPO, "v1.0.0")
            wrongs += any(there.get(name) != data for name, data in needed.items())
            whole = Counter(request.line for request in hub.answered("PUT /lfs/") if request.status == 200)
            again += sum(request.received for request in hub.answered("PUT /lfs/") if request.status == 200)
            partial += sum(request.received for request in hub.answered("PUT /lfs/") if request.status != 200)
            wrongs += max(whole.values()) > 1
    print(f"kills: {times}, of which {landed} met a running push")
    print(f"bytes of finished files sent / needed: {again / (total * times):.4f}")
    print(
        f"bytes of all files sent / needed, those that the kill cut off too: {(again + partial) / (total * times):.4f}"
    )
    print(f"wrong states found: {wrongs}")


def faults(bench: Bench) -> None:
    """Let each fault of the plan happen to a push, waits left out."""
    from huggingface_hub import close_session, constants

    from medmix.cli import main
    from tests.curate.publish.test_hub_errors import PASSING

    survived = 0
    waited: list[float] = []
    for name, plan in PASSING.items():
        hub = bench.hub()
        hub.take(None)
        for pattern, kind, headers in plan:
            hub.fail(pattern, kind, **headers)
        with (
            hub.running(),
            mock.patch.object(constants, "ENDPOINT", hub.url),
            mock.patch.object(time, "sleep", waited.append),
            Path(os.devnull).open("w") as nothing,
            mock.patch.object(sys, "stderr", nothing),
            mock.patch.object(sys, "stdout", nothing),
        ):
            try:
                main(["push", str(bench.mix), "--repo", REPO, "--yes"])
            except SystemExit as stop:
                status = stop.code
            close_session()
        tagged = status == 0 and all(fault.times == 0 for fault in hub.faults) and not wrong(hub, bench.needed())
        survived += tagged
        if not tagged:
            print(f"not survived: {name}")
    print(f"\nfaults survived: {survived} of {len(PASSING)}; {sum(waited):.0f} s of waits were asked for")


def again(bench: Bench) -> None:
    """Time a first and a second push beside the clients' own uploads; without the start of their processes."""
    hub = bench.hub()
    print()
    with hub.running():
        shutil.rmtree(bench.mix / ".work/push")
        for kind, script in (("medmix push", OURS), ("upload_folder", PEER), ("push_to_hub", PEER)):
            repo = REPO if script is OURS else f"someone/{kind}"
            arguments = [bench.mix, repo] if script is OURS else [bench.mix, kind, repo]
            took = [timed(script, arguments, bench.environment(hub)) for _ in range(2)]
            commits = len(hub.repositories[repo].messages) - 1
            sent = len(hub.answered(f"PUT /lfs/{repo}"))
            print(
                f"{kind}: first {took[0]:.2f} s, second {took[1]:.2f} s ({took[1] / took[0]:.2f}); "
                f"{sent} uploads, {commits} commits in all"
            )
        loaded(bench, hub)


def timed(script: str, arguments: list[object], environment: dict[str, str]) -> float:
    """Run a script that prints its seconds last."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout.split()[-1])


def loaded(bench: Bench, hub) -> None:
    """Compare what `load_dataset` gives by the tag with the folder, row by row."""
    import pyarrow.parquet as pq

    from tests.curate.publish.test_load import LOAD, digest

    script = LOAD.replace('"slake", ', "")
    done = subprocess.run(
        [sys.executable, "-c", script, REPO], env=bench.environment(hub), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found = json.loads(done.stdout)
    there: dict[str, dict[str, str]] = {}
    for shard in sorted(bench.mix.glob("data/*/*.parquet")):
        for row in pq.read_table(shard).to_pylist():
            there.setdefault(row["split"], {})[row["id"]] = digest(row)
    rows = sum(map(len, there.values()))
    print(
        f"load_dataset gives the folder's {rows} rows: {found['whole'] == there}, streamed {found['streamed'] == there}"
    )


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, help="sources; sample data when left out")
    parser.add_argument("--sources", default="vqa_rad", help="comma-separated")
    parser.add_argument("--shard-megabytes", type=int, default=5)
    parser.add_argument("--rate", type=float, default=2, help="MB a second that the Hub takes from a connection")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="medmix-push-") as folder:
        work = Path(folder)
        mix = built(arguments.root, arguments.sources.split(","), arguments.shard_megabytes, work / "mix")
        bench = Bench(mix, work, arguments.rate * 1e6)
        kills(bench, arguments.kills, arguments.seed)
        faults(bench)
        again(bench)


if __name__ == "__main__":
    main()
