"""Run tasks on a Ray cluster, or on a Ray of this machine alone where there is no cluster.

Importing this module imports Ray, which nothing else does.
"""

import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import cv2

from .errors import UsageError, WorkError
from .shards import unique_name

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # without it Ray prints a warning
os.environ.setdefault("RAY_task_oom_retries", "3")  # Ray's own default is to repeat for ever

try:
    import ray
    from ray.exceptions import GetTimeoutError, RayError, RayTaskError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as error:
    raise UsageError("--engine ray needs Ray, which is not installed: pip install 'medmix[ray]'") from error

Task = TypeVar("Task")
Result = TypeVar("Result")

RETRIES = 3
"""How often a task starts again after its worker or node has died."""

IN_FLIGHT = 2
"""Tasks that are handed to Ray, for each processor of the cluster: one at work, one that waits for it."""

CONNECT_SECONDS = 10.0
PROBE_SECONDS = 60.0


@contextmanager
def connected(workers: int) -> Iterator["RayEngine"]:
    """Connect to the cluster of `RAY_ADDRESS` or of this machine; without one start a Ray of `workers` processes.

    Raises:
        UsageError: the cluster of `RAY_ADDRESS` cannot be reached, or has another Python or Ray.
    """
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    address = os.environ.get("RAY_ADDRESS")
    try:
        if address and (found := re.fullmatch(r"([^/]+):([0-9]+)", address)):  # Ray itself tries for minutes
            socket.create_connection((found[1], int(found[2])), CONNECT_SECONDS).close()
        try:
            ray.init(address or "auto", **quiet)
        except ConnectionError:
            if address:
                raise
            ray.init("local", num_cpus=workers, include_dashboard=False, **quiet)
    except (OSError, RuntimeError, ValueError, OverflowError) as error:
        where = f"RAY_ADDRESS {address}" if address else "Ray"
        raise UsageError(f"{where}: cannot connect: {error}") from error
    try:
        yield RayEngine()
    finally:
        ray.shutdown()


class RayEngine:
    """The cluster that this process is connected to, as an `engine.Engine`."""

    def run(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        order: Sequence[int],
        ended: Callable[[int], None],
    ) -> Iterator[Result]:
        """Yield `function(task)` for every task, in order; a task whose worker or node dies is repeated.

        Raises:
            WorkError: a task's workers died again and again, or the cluster is lost.
            Exception: raised by `function`; tasks that have not ended are cancelled.
        """
        start = ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=False)(_call).remote
        shared_function, folder = ray.put(function), str(Path.cwd())
        waiting = iter(order)
        in_flight: dict[Any, int] = {}
        done: dict[int, Result] = {}
        try:
            for place in range(len(tasks)):
                while place not in done:
                    for next_place in waiting:
                        in_flight[start(shared_function, tasks[next_place], folder)] = next_place
                        if len(in_flight) >= _most_in_flight():
                            break
                    ready, _ = ray.wait(list(in_flight))
                    for reference in ready:
                        ready_place = in_flight.pop(reference)
                        done[ready_place] = ray.get(reference)
                        ended(ready_place)
                yield done.pop(place)
        except RayTaskError as error:
            if isinstance(error.cause, Exception):
                raise error.cause from error
            raise WorkError(f"a task failed: {error}") from error
        except RayError as error:
            raise WorkError(
                f"a task's workers died {RETRIES + 1} times, most often because memory ran out, or the cluster is lost "
                f"({type(error).__name__}); run the same command again: finished work is kept"
            ) from error
        finally:
            for reference in in_flight:
                with suppress(RayError):
                    ray.cancel(reference, force=True)

    def require_shared(self, folder: Path) -> None:
        """Check that every node reads a file that this process has written to a folder.

        Raises:
            UsageError: one does not; the message names it.
            WorkError: one does not answer.
        """
        token = folder / f".shared.{unique_name()}.tmp"
        token.write_text(token.name, encoding="utf-8")
        try:
            for node in ray.nodes():
                if node["Alive"] and not _sees(node, token):
                    raise UsageError(
                        f"node {node['NodeName']} ({node['NodeManagerAddress']}) does not see {folder.absolute()}; all "
                        "nodes need --root and --out on shared storage, at the same paths"
                    )
        finally:
            token.unlink()


def _sees(node: dict[str, Any], token: Path) -> bool:
    place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    probe = ray.remote(num_cpus=0, max_retries=RETRIES, scheduling_strategy=place)(_call)
    try:
        return bool(ray.get(probe.remote(_reads, token, str(Path.cwd())), timeout=PROBE_SECONDS))
    except RayTaskError:
        raise
    except GetTimeoutError:
        raise WorkError(
            f"node {node['NodeName']} ({node['NodeManagerAddress']}) does not answer within {PROBE_SECONDS:.0f} s"
        ) from None
    except RayError:  # the node has died since: it gets no tasks
        return True


def _reads(token: Path) -> bool:
    try:
        return token.read_text(encoding="utf-8") == token.name
    except OSError:
        return False


def _most_in_flight() -> int:
    """Ask anew each time, since nodes come and go."""
    return max(1, int(IN_FLIGHT * ray.cluster_resources().get("CPU", 1)))


def _call(function: Callable[[Task], Result], task: Task, folder: str) -> Result:
    """Run one task in a worker, in the folder of the command, so that relative paths mean the same."""
    cv2.setNumThreads(1)
    with suppress(OSError):  # a folder of one machine: then the command's paths are absolute, or `require_shared` fails
        os.chdir(folder)
    return function(task)
