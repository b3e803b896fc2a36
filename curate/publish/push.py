"""The push of a mix: gate, upload, commit, verify, and tag last.

    planner -> Plan -> execute: gate -> create -> upload blobs -> commit (card and manifest last) -> verify -> tag

The state of a push is on the Hub: blobs in LFS, files on main, tags. Nothing is stored locally, so that a push killed
at any moment can be continued.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ..errors import WorkError
from ..fetch.hub import Remote
from ..progress import say, track
from ..write import manifest
from . import hub, retries
from .gate.check import check
from .hub import LocalFile, summarize_names
from .plan import Plan, batches, find_present, find_stale
from .planner import Options, PublishedVersion

UPLOAD_FILES = 16
UPLOAD_BYTES = 1_000_000_000
"""Limits of one upload call; each call asks the Hub which files are missing."""

COMMITS_PER_HOUR = 20

MAX_FINDINGS = 10
"""Findings of the gate in one error message."""

Stamps = dict[Path, tuple[int, int]]
"""Size and modification time of files, which show that a file changed after the gate read it."""


def check_plan(plan: Plan, mix: Path) -> list[str]:
    """List what forbids the push."""
    return check(plan.release, plan.to_upload, mix)


def execute(plan: Plan, mix: Path, options: Options) -> PublishedVersion:
    """Execute a plan.

    Raises:
        WorkError: the gate forbids the push, and nothing was uploaded; the Hub refuses; or the files on the Hub differ
            from the local ones, and no tag was created.
    """
    stamps = _file_stamps(plan.to_upload.values())
    if findings := check_plan(plan, mix):
        rest = len(findings) - MAX_FINDINGS
        more = f"; and {rest} more, see --dry-run" if rest > 0 else ""
        raise WorkError(f"nothing was uploaded: {'; '.join(findings[:MAX_FINDINGS])}{more}")
    hub.create_dataset(plan.repo, private=not options.public)
    state = hub.dataset_state(plan.repo)
    if state is None:
        raise WorkError(f"{plan.repo}: was created, but the Hub does not find it; {retries.AGAIN}")
    _update_settings(plan, state, options)
    _upload(plan, stamps)
    commits = _commit(plan)
    commit = _verify(plan, hub.dataset_state(plan.repo))
    hub.create_tag(plan.repo, plan.tag, commit)
    size = sum(local.bytes for local in plan.to_upload.values())
    return PublishedVersion(plan.repo, plan.tag, commit, len(plan.to_upload), size, commits)


def _update_settings(plan: Plan, state: hub.DatasetState, options: Options) -> None:
    private = False if options.public and state.private else None
    gated = "auto" if plan.gated and not state.gated else None
    if private is not None or gated is not None:
        hub.update_settings(plan.repo, private, gated)  # type: ignore[arg-type]


def _file_stamps(files: Iterable[LocalFile]) -> Stamps:
    states = {local.path: local.path.stat() for local in files}
    return {path: (state.st_size, state.st_mtime_ns) for path, state in states.items()}


def _upload(plan: Plan, stamps: Stamps) -> None:
    """Upload the parquet files to LFS; the other files are part of their commit."""
    lots = list(_upload_lots({name: local for name, local in plan.to_upload.items() if name.endswith(".parquet")}))
    for lot in track(lots, len(lots), "uploading"):
        if any(stamps[path] != stamp for path, stamp in _file_stamps(lot.values()).items()):
            raise WorkError(f"{summarize_names(list(lot))}: changed during the push; {retries.AGAIN}")
        hub.upload(plan.repo, lot)


def _upload_lots(files: Mapping[str, LocalFile]) -> Iterator[dict[str, LocalFile]]:
    lot: dict[str, LocalFile] = {}
    for name, local in files.items():
        if lot and (len(lot) == UPLOAD_FILES or sum(one.bytes for one in lot.values()) + local.bytes > UPLOAD_BYTES):
            yield lot
            lot = {}
        lot[name] = local
    if lot:
        yield lot


def _commit(plan: Plan) -> int:
    """Commit the files, in one commit if they are few; give the number of commits.

    Of several commits the first deletes card and manifest of the previous version, and only the last adds the new
    ones: the commits between them are not recognised as a mix.
    """
    lots = batches(plan.to_upload) or ([{}] if plan.to_delete else [])
    times: list[float] = []
    for number, batch in enumerate(lots):
        is_last = number == len(lots) - 1

        def changes(
            remote: Mapping[str, Remote], batch: Mapping[str, LocalFile] = batch, is_last: bool = is_last
        ) -> tuple[Mapping[str, LocalFile], Iterable[str]]:
            wanted = plan.to_upload if is_last else batch
            present = find_present(wanted, remote)
            lost = sorted(plan.present - find_present(plan.files, remote)) if is_last else []
            if lost:  # the gate has not read them, since they were not to be uploaded
                raise WorkError(f"{plan.repo}: main lost {summarize_names(lost)} during the push; {retries.AGAIN}")
            markers = [name for name in (manifest.README, manifest.NAME) if name in remote]
            deleted = find_stale(plan.files, remote) if is_last else markers
            return {name: local for name, local in wanted.items() if name not in present}, deleted

        _wait_for_rate_limit(times)
        part = f" ({number + 1} of {len(lots)})" if len(lots) > 1 else ""
        hub.commit(plan.repo, f"{plan.release.document['mixture']['name']} {plan.tag}{part}", changes)
    return len(lots)


def _wait_for_rate_limit(times: list[float]) -> None:
    """Wait before a commit that would exceed the Hub's rate limit; `times` are those of the last commits."""
    now = time.monotonic()
    times[:] = [moment for moment in times if now - moment < 3600]
    if len(times) >= COMMITS_PER_HOUR:
        pause = 3600 - (now - times[0])
        say(f"rate limit of {COMMITS_PER_HOUR} commits an hour: next commit in {pause:.0f} s")
        time.sleep(pause)
    times.append(time.monotonic())


def _verify(plan: Plan, state: hub.DatasetState | None) -> str:
    """Check that the files on main are those of the release, and give the commit of main.

    Raises:
        WorkError: a file is missing, differs or should not be on main.
    """
    if state is None:
        raise WorkError(f"{plan.repo}: no longer exists; no tag was created")
    remote = hub.list_files(plan.repo, state.head)
    wrong = sorted(set(plan.files) - find_present(plan.files, remote))
    wrong += find_stale(plan.files, remote)
    if wrong:
        raise WorkError(
            f"{plan.repo}: the files on the Hub differ from the local ones ({summarize_names(wrong)}), so no tag was "
            f"created; {retries.AGAIN}"
        )
    return state.head
