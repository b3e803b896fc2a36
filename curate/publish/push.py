"""The push of a mix: gate, upload, commit, verify, and the tag only then.

    preparing -> Plan -> carry_out: gate -> create -> upload blobs -> commit (card and manifest last) -> verify -> tag

The state of a push is what the Hub has: blobs in LFS, files on main, tags. Nothing is remembered here, so a push that
was killed at any moment goes on from there.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import WorkError
from ..fetch.hub import Remote
from ..progress import say, track
from ..shards import file_sha256
from ..write import manifest
from . import gate, hub, plan, retries
from .hub import Local
from .plan import Plan
from .preparing import Options

LOT_FILES = 16
LOT_BYTES = 1_000_000_000
"""Files are uploaded in lots of about this size; after each the Hub is asked anew what is missing."""

COMMITS_PER_HOUR = 20

MOST_TOLD = 10
"""Findings of the gate in one line."""


def inspect(made: Plan, mix: Path) -> list[str]:
    """List what stands against the plan: findings of the gate, and files that are not what the manifest says."""
    send = made.send
    findings = gate.findings(plan.paths(send), gate.forbidden(mix))
    for name, local in send.items():
        if file_sha256(local.path) != local.sha256:
            findings.append(f"{name}: its bytes are not those that the build wrote")
    return findings


def carry_out(made: Plan, mix: Path, options: Options) -> dict[str, Any]:
    """Do what a plan says and give what became of it.

    Raises:
        WorkError: the gate refuses, and nothing was sent; the Hub refuses; or what it has is not what was sent,
            and no tag was set.
    """
    held = _stamps(made.send.values())
    if findings := inspect(made, mix):
        rest = len(findings) - MOST_TOLD
        more = f"; and {rest} more, which --dry-run lists" if rest > 0 else ""
        raise WorkError(f"nothing was sent: {'; '.join(findings[:MOST_TOLD])}{more}")
    hub.create(made.repo, private=not options.public)
    state = hub.state(made.repo)
    if state is None:
        raise WorkError(f"{made.repo}: was made, but the Hub does not show it; {retries.AGAIN}")
    _settle(made, state, options)
    _upload(made, held)
    commits = _commit(made)
    commit = _verified(made, hub.state(made.repo))
    hub.tag(made.repo, made.tag, commit)
    return {
        "repo": made.repo,
        "tag": made.tag,
        "commit": commit,
        "page": hub.page(made.repo),
        "sent": len(made.send),
        "sent_bytes": sum(local.bytes for local in made.send.values()),
        "commits": commits,
    }


def _settle(made: Plan, state: hub.State, options: Options) -> None:
    private = False if options.public and state.private else None
    gated = "auto" if made.gated and not state.gated else None
    if private is not None or gated is not None:
        hub.settings(made.repo, private, gated)  # type: ignore[arg-type]


def _stamps(files: Iterable[Local]) -> dict[Path, tuple[int, int]]:
    """Give size and time of files, by which it shows that one changed after the gate has read it."""
    found = {}
    for local in files:
        state = local.path.stat()
        found[local.path] = (state.st_size, state.st_mtime_ns)
    return found


def _upload(made: Plan, held: Mapping[Path, tuple[int, int]]) -> None:
    """Bring the tables to LFS; the other files go with their commit."""
    lots = list(_lots({name: local for name, local in made.send.items() if name.endswith(".parquet")}))
    for lot in track(lots, len(lots), "sending"):
        if any(_stamps([local])[local.path] != held[local.path] for local in lot.values()):
            raise WorkError(f"{plan.first_of(list(lot))}: changed while the push ran; {retries.AGAIN}")
        hub.upload(made.repo, lot)


def _lots(files: Mapping[str, Local]) -> Iterator[dict[str, Local]]:
    lot: dict[str, Local] = {}
    for name, local in files.items():
        if lot and (len(lot) == LOT_FILES or sum(one.bytes for one in lot.values()) + local.bytes > LOT_BYTES):
            yield lot
            lot = {}
        lot[name] = local
    if lot:
        yield lot


def _commit(made: Plan) -> int:
    """Commit the files, in one commit if they are few; give the number of commits.

    Of several the first takes card and manifest of the version before away, and only the last brings the new ones: what
    lies between them looks like no mix.
    """
    batches = made.batches() or ([{}] if made.gone else [])
    times: list[float] = []
    for number, batch in enumerate(batches):
        is_last = number == len(batches) - 1

        def missing(
            remote: Mapping[str, Remote], batch: Mapping[str, Local] = batch, is_last: bool = is_last
        ) -> tuple[Mapping[str, Local], Iterable[str]]:
            wanted = made.send if is_last else batch
            held = plan.there(wanted, remote)
            lost = sorted(made.there - plan.there(made.files, remote)) if is_last else []
            if lost:  # the gate has not seen them, since they were not to be sent
                raise WorkError(f"{made.repo}: {plan.first_of(lost)} went from main meanwhile; {retries.AGAIN}")
            signs = [] if is_last else [name for name in (manifest.README, manifest.NAME) if name in remote]
            gone = plan.strays(made.files, remote) if is_last else signs
            return {name: local for name, local in wanted.items() if name not in held}, gone

        _pace(times)
        part = f" ({number + 1} of {len(batches)})" if len(batches) > 1 else ""
        hub.commit(made.repo, f"{made.edition.document['mixture']['name']} {made.tag}{part}", missing)
    return len(batches)


def _pace(times: list[float]) -> None:
    """Wait where another commit would be more than the Hub takes in an hour."""
    now = time.monotonic()
    times[:] = [moment for moment in times if now - moment < 3600]
    if len(times) >= COMMITS_PER_HOUR:
        pause = 3600 - (now - times[0])
        say(f"{COMMITS_PER_HOUR} commits in an hour are enough for the Hub; the next one in {pause:.0f} s")
        time.sleep(pause)
    times.append(time.monotonic())


def _verified(made: Plan, state: hub.State | None) -> str:
    """Give the commit that main is at, once all its digests are those of the edition.

    Raises:
        WorkError: a file is missing, is another one, or should not be there.
    """
    if state is None:
        raise WorkError(f"{made.repo}: is no longer there; no tag was set")
    remote = hub.files(made.repo, state.head)
    wrong = sorted(set(made.files) - plan.there(made.files, remote))
    wrong += plan.strays(made.files, remote)
    if wrong:
        raise WorkError(
            f"{made.repo}: what is there is not what was sent ({plan.first_of(wrong)}), so no tag was set; "
            f"{retries.AGAIN}"
        )
    return state.head
