"""The push of a mix: gate, upload, commit, verify, and tag last.

    planner -> Plan -> execute: gate -> create -> upload blobs -> commit (card and manifest last) -> verify -> tag

A push to a branch or a pull request is a draft: it ends with the verification. Only a version on main gets its tag.

The state of a push is on the Hub: blobs in LFS or Xet, files on main, tags. Nothing is stored locally, so that a push
killed at any moment can be continued.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..errors import WorkError
from ..fetch.hub import Remote
from ..progress import say, track
from ..write import manifest
from . import hub, hub_errors, xet
from .gate.check import check
from .hub import LocalFile, summarize_names
from .options import MAIN, PULL_REQUEST_REVISION, Options
from .plan import Plan, Settings, batches, changed_settings, find_present, find_stale
from .planner import PublishedVersion

UPLOAD_FILES = 16
UPLOAD_BYTES = 1_000_000_000
"""Limits of one upload call; each call asks the Hub which files are missing.

Xet gets one file per call. It sends packs of contents, in the order in which its threads read files, and asks for each
pack whether it is there. Only packs of a single file are the same at the next try.
"""

COMMITS_PER_HOUR = 20

MAX_FINDINGS = 10
"""Findings of the gate in one error message."""

Stamps = dict[Path, tuple[int, int]]
"""Size and modification time of files, which show that a file changed after the gate read it."""


def check_plan(plan: Plan, mix: Path, options: Options) -> list[str]:
    """List what forbids the push."""
    return check(plan.release, plan.to_upload, mix, options.workers)


def execute(plan: Plan, mix: Path, options: Options) -> PublishedVersion:
    """Execute a plan.

    Raises:
        WorkError: the gate forbids the push, and nothing was uploaded; the Hub refuses; or the files on the Hub differ
            from the local ones, and no tag was created.
    """
    stamps = _file_stamps(plan.to_upload.values())
    if findings := check_plan(plan, mix, options):
        rest = len(findings) - MAX_FINDINGS
        more = f"; and {rest} more, see --dry-run" if rest > 0 else ""
        raise WorkError(f"nothing was uploaded: {'; '.join(findings[:MAX_FINDINGS])}{more}")
    opened = _open_pull_request(plan) if options.pull_request else _open_revision(plan, options)
    _upload(opened, stamps)
    commits = _commit(opened)
    commit = _verify(opened)
    if opened.revision == MAIN:
        hub.create_tag(plan.repo, plan.tag, commit)
    elif options.pull_request:
        hub.publish_pull_request(plan.repo, int(opened.revision.rpartition("/")[2]))
    size = sum(local.bytes for local in plan.to_upload.values())
    return PublishedVersion(plan.repo, plan.tag, commit, opened.revision, len(plan.to_upload), size, commits)


def _open_revision(plan: Plan, options: Options) -> Plan:
    """Create the dataset and the branch unless they exist, and set what everybody sees before anything is uploaded."""
    hub.create_dataset(plan.repo, private=not options.public)
    state = hub.dataset_state(plan.repo)
    if state is None:
        raise WorkError(f"{plan.repo}: was created, but the Hub does not find it; {hub_errors.AGAIN}")
    update_settings(plan.repo, changed_settings(state, options.public, plan.gated))
    if plan.revision != MAIN and not PULL_REQUEST_REVISION.fullmatch(plan.revision):
        hub.create_branch(plan.repo, plan.revision)
    return plan


def _open_pull_request(plan: Plan) -> Plan:
    """Open the pull request unless an earlier run has opened it.

    Raises:
        WorkError: there is nothing to propose.
    """
    if plan.revision:
        return plan
    if not plan.to_upload and not plan.to_delete:
        raise WorkError(f"{plan.repo}: main has all files of {plan.tag}; run the command without --pr to tag it")
    number = hub.open_pull_request(plan.repo, plan.message, plan.user)
    return replace(plan, revision=hub.pull_request_revision(number))


def update_settings(repo: str, settings: Settings) -> None:
    """Make the changes of a dataset's settings, if there are any."""
    if settings.describe():
        hub.update_settings(repo, settings.private, settings.gated)


def _file_stamps(files: Iterable[LocalFile]) -> Stamps:
    states = {local.path: local.path.stat() for local in files}
    return {path: (state.st_size, state.st_mtime_ns) for path, state in states.items()}


def _upload(plan: Plan, stamps: Stamps) -> None:
    """Upload the parquet files to LFS or Xet; the other files are part of their commit."""
    lots = list(_upload_lots({name: local for name, local in plan.to_upload.items() if name.endswith(".parquet")}))
    for lot in track(lots, len(lots), "uploading"):
        if any(stamps[path] != stamp for path, stamp in _file_stamps(lot.values()).items()):
            raise WorkError(f"{summarize_names(list(lot))}: changed during the push; {hub_errors.AGAIN}")
        hub.upload(plan.repo, lot, plan.revision)


def _upload_lots(files: Mapping[str, LocalFile]) -> Iterator[dict[str, LocalFile]]:
    most = 1 if xet.is_used() else UPLOAD_FILES
    lot: dict[str, LocalFile] = {}
    for name, local in files.items():
        if lot and (len(lot) == most or sum(one.bytes for one in lot.values()) + local.bytes > UPLOAD_BYTES):
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
                raise WorkError(
                    f"{plan.repo}: {plan.revision} lost {summarize_names(lost)} during the push; {hub_errors.AGAIN}"
                )
            markers = [name for name in (manifest.README, manifest.NAME) if name in remote]
            deleted = find_stale(plan.files, remote) if is_last else markers
            return {name: local for name, local in wanted.items() if name not in present}, deleted

        _wait_for_rate_limit(times)
        part = f" ({number + 1} of {len(lots)})" if len(lots) > 1 else ""
        hub.commit(plan.repo, f"{plan.message}{part}", changes, plan.revision)
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


def _verify(plan: Plan) -> str:
    """Check that the files of the revision are those of the release, and give its commit.

    The digests are those of the Hub. Of a file in Xet its SHA-256 is what the client stated, so that the digest by
    which Xet knows the content is compared too.

    Raises:
        WorkError: a file is missing, differs or should not be there.
    """
    commit = hub.head(plan.repo, plan.revision)
    if commit is None:
        raise WorkError(f"{plan.repo}: no longer exists; no tag was created")
    remote = hub.list_files(plan.repo, commit)
    wrong = set(plan.files) - find_present(plan.files, remote)
    wrong |= {*find_stale(plan.files, remote), *_different_in_xet(plan, commit)}
    if wrong:
        raise WorkError(
            f"{plan.repo}: the files on the Hub differ from the local ones ({summarize_names(sorted(wrong))}), so no "
            f"tag was created; {hub_errors.AGAIN}"
        )
    return commit


def _different_in_xet(plan: Plan, commit: str) -> list[str]:
    """Give the names of the files of which Xet has another content."""
    if not xet.is_used():
        return []
    digests = {name: digest for name, digest in hub.xet_digests(plan.repo, commit).items() if name in plan.files}
    local = xet.content_digests([plan.files[name].path for name in digests])
    return [name for (name, digest), own in zip(digests.items(), local, strict=True) if digest != own]
