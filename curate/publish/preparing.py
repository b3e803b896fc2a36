"""What comes before a push: which dataset, what is there, whether the version fits, and so the plan."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import locks
from ..errors import UsageError, WorkError
from ..fetch.hub import Remote
from ..mixtures import is_repo
from ..write import manifest
from . import copies, edition, hub, plan, retries, versions
from .diff import compare
from .hub import Local
from .plan import Plan

WORK = ".work/push"


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
        lock = locks.acquire(work / "lock", f"{mix}: another push of it is running; wait for it")
    except OSError as error:
        raise UsageError(f"{work}: cannot write there ({error.strerror}); push from a folder that you own") from error
    with lock, retries.session():
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
