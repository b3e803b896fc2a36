"""The push of a mix: plan, gate, upload, commit, verify, and the tag only then.

    prepare -> Plan -> carry_out: gate -> create -> upload blobs -> commit (card and manifest last) -> verify -> tag

The state of a push is what the Hub has: blobs in LFS, files on main, tags. Nothing is remembered here, so a push that
was killed at any moment goes on from there.
"""

import fcntl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import cards, manifest
from ..errors import UsageError, WorkError
from ..fetch import Remote
from ..mixture import is_repo
from ..progress import say, track
from ..shards import file_sha256
from . import copies, edition, gate, hub, plan, retries, versions
from .diff import compare
from .hub import Local
from .plan import Plan

WORK = ".work/push"

LOT_FILES = 16
LOT_BYTES = 1_000_000_000
"""Files are uploaded in lots of about this size; after each the Hub is asked anew what is missing."""

COMMITS_PER_HOUR = 20


@dataclass(frozen=True, slots=True)
class Options:
    """What the command adds: whether all may see the dataset, and whether the Hub has to answer (not for a dry run)."""

    public: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Published:
    """A version that is on the Hub with just the content that was to be pushed."""

    repo: str
    tag: str
    commit: str

    def as_plain(self) -> dict[str, Any]:
        """Give it as plain data, in the form of a push that had nothing to do."""
        named = {"repo": self.repo, "tag": self.tag, "commit": self.commit, "page": hub.page(self.repo)}
        return {**named, "sent": 0, "sent_bytes": 0, "commits": 0}


def repo_of(whole: Mapping[str, Any], asked: str | None) -> str:
    """Give the dataset on the Hub: the one asked for, else the one that the mixture names.

    Raises:
        UsageError: there is none, or it is no OWNER/NAME.
    """
    repo = asked or whole["settings"]["mixture"].get("publish", "")
    if not repo:
        raise UsageError("name the dataset: --repo OWNER/NAME, or `publish: OWNER/NAME` in the mixture")
    if not is_repo(repo):
        raise UsageError(f"--repo {repo!r} is no OWNER/NAME of a dataset on the Hub")
    return repo


@contextmanager
def working(mix: Path) -> Iterator[Path]:
    """Give the folder beside a mix in which a push prepares, held against a second one; the client is set up too."""
    work = mix / WORK
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = (work / "lock").open("w")
    except OSError as error:
        raise UsageError(f"{work}: cannot write there ({error.strerror}); push from a folder that you own") from error
    with lock, retries.session():
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"{mix}: another push of it is running; wait for it") from error
        yield work


def prepare(mix: Path, repo: str | None, options: Options, work: Path) -> Plan | Published:
    """Plan the push of a mix, unless just this content is published under its version already.

    Raises:
        UsageError: the folder is no mix, or the dataset is not named.
        WorkError: the Hub refuses, the version does not fit what was published before, or the Hub's limits do not.
    """
    whole = manifest.read(mix)
    if not manifest.is_untouched(mix):
        raise WorkError(f"{mix}: {manifest.TOUCHED}; build it again")
    if "published" in whole:
        raise UsageError(f"{mix}: is a published copy, not what a build wrote; push the mix that it was made from")
    if not any(file.startswith("data/") for file in whole["files"]):
        raise WorkError(f"{mix}: nothing of it may be redistributed, so there is nothing to publish")
    repo = repo_of(whole, repo)
    notes: list[str] = []
    found = _state(repo, options, notes)
    tags = versions.of_tags(found.tags) if found else {}
    mine = versions.parse(whole["mixture"]["version"])
    earlier = [version for version in tags if version < mine]
    later = [tag for version, tag in tags.items() if version > mine]
    if later and mine not in tags:
        raise WorkError(f"{repo}: {later[-1]} is published already, and a lower version may not follow it")
    changelog = _changelog(mix, whole, repo, tags[earlier[-1]], found, work) if found and earlier else None
    prepared = edition.prepare(
        mix, whole, repo, changelog or versions.changelog(None, None, whole["mixture"]["version"]), work
    )
    files = plan.locals_of(prepared)
    if found and mine in tags:
        commit = found.tags[tags[mine]]
        _same_content(repo, tags[mine], files, hub.files(repo, commit))
        return Published(repo, tags[mine], commit)
    if problems := list(plan.limits(files)):
        raise WorkError("; ".join(problems))
    remote = hub.files(repo, found.head) if found else {}
    _refuse_foreign(repo, files, remote, bool(tags))
    private = not options.public and (found is None or found.private)
    return Plan(
        repo,
        prepared.tag,
        prepared,
        files,
        plan.there(files, remote),
        plan.strays(files, remote),
        "private" if private else "public",
        bool(prepared.document["published"]["gated"]) or bool(found and found.gated),
        tuple(notes),
    )


def _state(repo: str, options: Options, notes: list[str]) -> hub.State | None:
    """Ask the Hub; a dry run goes on without an answer and says so."""
    try:
        if not options.dry_run:
            hub.may_write()
        return hub.state(repo)
    except retries.Refused as error:
        if not options.dry_run:
            raise
        notes.append(f"counted as if nothing were on the Hub, which was not reached: {error}")
        return None


def _changelog(
    mix: Path, whole: Mapping[str, Any], repo: str, tag: str, found: hub.State, work: Path
) -> list[dict[str, Any]]:
    """Compare a mix with the version published before it and give what the card tells.

    Raises:
        WorkError: its version does not say what has changed, or the dataset is that of another mixture.
    """
    before = copies.download(repo, found.tags[tag], work, copies.TELLING)
    document = manifest.read(before)
    names = document["mixture"]["name"], whole["mixture"]["name"]
    if names[0] != names[1]:
        raise WorkError(f"{repo}: holds the mixture {names[0]}, not {names[1]}; choose another --repo")
    diff = compare(before, mix)
    version = whole["mixture"]["version"]
    if wrong := versions.problem(document["mixture"]["version"], version, diff.level):
        raise WorkError(f"{repo}: {wrong}; raise `version` in the mixture and build it again")
    return versions.changelog(document, diff, version)


def _same_content(repo: str, tag: str, files: Mapping[str, Local], published: Mapping[str, Remote]) -> None:
    """Hold an edition against what is published under its version; manifests differ by their timings alone."""
    compared = {name: local for name, local in files.items() if name not in (manifest.NAME, edition.WHOLE)}
    differing = sorted(set(compared) - plan.there(compared, published))
    differing += plan.strays(files, published)
    if differing:
        raise WorkError(
            f"{repo}: {tag} is published with another content ({plan.first_of(differing)}); what is published "
            "stays as it is: raise `version` in the mixture and build it again"
        )


def _refuse_foreign(repo: str, files: Mapping[str, Local], remote: Mapping[str, Remote], is_ours: bool) -> None:
    foreign = [name for name in sorted(remote) if name not in files and name not in plan.KEPT_THERE]
    if foreign and not is_ours:
        raise WorkError(
            f"{repo}: holds other files ({plan.first_of(foreign)}) and no version of a mix; choose another --repo"
        )


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
        raise WorkError(f"nothing was sent: {'; '.join(findings)}")
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
            wanted = made.files if is_last else batch
            held = plan.there(wanted, remote)
            signs = [] if is_last else [name for name in (cards.README, manifest.NAME) if name in remote]
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
