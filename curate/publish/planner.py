"""Before a push: find the dataset, read its state, check the version, and make the plan."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import locks
from ..errors import UsageError, WorkError
from ..fetch.hub import Remote
from ..write import manifest
from . import hub, hub_user, plan, release, retries, snapshot, unchanged, versions, xet
from .diff import compare
from .hub import LocalFile, summarize_names
from .hub_user import User
from .options import MAIN, PULL_REQUEST_REVISION, Options
from .plan import UNCHANGED, Plan, Settings

WORK = ".work/push"


@dataclass(frozen=True, slots=True)
class PublishedVersion:
    """A version on the Hub, and what the push uploaded: nothing if it was published before with the same content.

    Attributes:
        repo, commit: the dataset, and the commit with all files of the version.
        tag: of the version; a push to a branch or a pull request does not create it.
        revision: where the commit is: `main`, a branch, or a pull request.
        uploaded, uploaded_bytes, commits: what the push did.
        settings: changes of the dataset's settings that are still to be made.
    """

    repo: str
    tag: str
    commit: str
    revision: str = MAIN
    uploaded: int = 0
    uploaded_bytes: int = 0
    commits: int = 0
    settings: Settings = UNCHANGED

    @property
    def page(self) -> str:
        """The URL of the dataset, or of the pull request."""
        return hub.page_url(self.repo, self.revision)

    def to_dict(self) -> dict[str, Any]:
        """Give the version as JSON types."""
        facts = {name: value for name, value in asdict(self).items() if name != "settings"}
        return {**facts, "tagged": self.revision == MAIN, "page": self.page, "settings": self.settings.describe()}


def repo_of(full: Mapping[str, Any], requested: str | None) -> str:
    """Give the dataset on the Hub: the requested one, otherwise the one in the mixture.

    Raises:
        UsageError: there is none, or its name is not OWNER/NAME.
    """
    repo = requested or full["settings"]["mixture"].get("publish", "")
    if not repo:
        raise UsageError("give the dataset: --repo OWNER/NAME, or `publish: OWNER/NAME` in the mixture")
    hub_user.validate_name(repo)
    return repo


@contextmanager
def open_work_folder(mix: Path) -> Iterator[Path]:
    """Give the work folder of a push, locked against a second push, and configure the Hub's client.

    Raises:
        UsageError: the folder is no mix, or is not writable, or another push is running.
    """
    manifest.read(mix)  # before anything is written to a folder that is none
    work = mix / WORK
    try:
        lock = locks.acquire(work / "lock", f"{mix}: another push of it is running; wait for it")
    except OSError as error:
        raise UsageError(f"{work}: cannot write there ({error.strerror}); push from a folder that you own") from error
    with lock, retries.client_session(), xet.limits():
        yield work


def plan_push(
    mix: Path, repo: str | None, options: Options, work: Path, user: User | None = None
) -> Plan | PublishedVersion:
    """Plan the push of a mix, or give the version if it is published with the same content.

    `user` is the one that `hub_user.authorize` has given, if it was asked before.

    Raises:
        UsageError: the folder is no mix, the dataset is not named, or a card that is not of a mix would be overwritten.
        WorkError: the Hub refuses, the version does not follow the published one, or a limit of the Hub is exceeded.
    """
    full = _read_full_manifest(mix)
    repo = repo_of(full, repo)
    notes: list[str] = []
    user, state = _ask_hub(repo, options, notes, user)
    if options.pull_request and state is None:
        raise WorkError(f"{repo}: does not exist, or is not visible to you, so nothing can be proposed to it")
    tags = versions.parse_tags(state.tags) if state else {}
    version = versions.parse(full["mixture"]["version"])
    earlier = [tag for other, tag in tags.items() if other < version]
    later = [tag for other, tag in tags.items() if other > version]
    if later and version not in tags:
        raise WorkError(f"{repo}: {later[-1]} is published, and a lower version must not follow it")
    if state and earlier:
        changelog = _changelog(mix, full, repo, state.tags[earlier[-1]], work)
    else:
        changelog = versions.changelog(None, None, full["mixture"]["version"])
    prepared = release.prepare_release(mix, full, repo, changelog, work)
    files = plan.local_files(prepared)
    is_gated = bool(prepared.document["published"]["gated"])
    if state and version in tags:
        commit = state.tags[tags[version]]
        _validate_same_content(repo, tags[version], files, hub.list_files(repo, commit))
        settings = UNCHANGED if options.pull_request else plan.changed_settings(state, options.public, is_gated)
        return PublishedVersion(repo, tags[version], commit, settings=settings)
    if problems := list(plan.exceeded_limits(files)):
        raise WorkError("; ".join(problems))
    message = options.message or f"{full['mixture']['name']} {prepared.tag}"
    revision = _revision(repo, message, user, options) if state else options.revision
    remote = hub.list_files(repo, _base(repo, state, revision)) if state else {}
    if not tags:
        _validate_no_other_files(repo, files, remote)
        notes += _overwritten_files(repo, files, remote, options)
    private = not options.public and (state is None or state.private)
    return Plan(
        repo,
        prepared.tag,
        prepared,
        files,
        plan.find_present(files, remote),
        plan.find_stale(files, remote),
        "private" if private else "public",
        (is_gated and not options.pull_request) or bool(state and state.gated),
        message,
        revision,
        user.name if user else "",
        tuple(notes),
    )


def _revision(repo: str, message: str, user: User | None, options: Options) -> str:
    """Give the revision to push to; "" for a pull request that is not open yet."""
    if not options.pull_request:
        return options.revision
    number = hub.find_pull_request(repo, message, user.name) if user else None
    return hub.pull_request_revision(number) if number else ""


def _base(repo: str, state: hub.DatasetState, revision: str) -> str:
    """Give the commit on which the push builds; branches and pull requests begin at main."""
    found = hub.head(repo, revision) if revision not in ("", MAIN) else None
    if found is None and PULL_REQUEST_REVISION.fullmatch(revision):
        raise WorkError(f"{repo}: has no pull request {revision}; see {hub.page_url(repo)}/discussions")
    return found or state.head


def _read_full_manifest(mix: Path) -> dict[str, Any]:
    """Read the manifest of a mix that a build wrote and that has records to publish."""
    full = manifest.read(mix)
    if not manifest.is_unmodified(mix):
        raise WorkError(f"{mix}: {manifest.MODIFIED}; build it again")
    if "published" in full:
        raise UsageError(f"{mix}: is a copy of a published mix; push the mix that a build wrote")
    if not any(file.startswith("data/") for file in full["files"]):
        raise WorkError(f"{mix}: none of its records may be redistributed, so there is nothing to publish")
    unchanged.require(mix, full["files"], unchanged.TABLES)
    unchanged.require(mix, full["files"], unchanged.SHARDS)
    return full


def _ask_hub(
    repo: str, options: Options, notes: list[str], user: User | None
) -> tuple[User | None, hub.DatasetState | None]:
    """Read who pushes and the state of the dataset; a dry run continues without a response and adds a note.

    Raises:
        HubRefusal: the token is unusable, or its user may not write to the owner's datasets.
    """
    try:
        if not options.dry_run and user is None:
            user = hub_user.authorize(repo, options.pull_request)
        return user, hub.dataset_state(repo)
    except retries.HubRefusal as error:
        if not options.dry_run:
            raise
        notes.append(f"the Hub was not reached, so the plan assumes an empty dataset: {error}")
        return user, None


def _changelog(mix: Path, full: Mapping[str, Any], repo: str, commit: str, work: Path) -> list[dict[str, Any]]:
    """Compare a mix with the version published before it, and give the changelog of the card.

    Raises:
        WorkError: the version is too low for the changes, or the dataset contains another mixture.
    """
    before = snapshot.download(repo, commit, work, snapshot.METADATA_FILES)
    document = manifest.read(before)
    published, name = document["mixture"]["name"], full["mixture"]["name"]
    if published != name:
        raise WorkError(f"{repo}: contains the mixture {published}, not {name}; choose another --repo")
    diff = compare(before, mix)
    version = full["mixture"]["version"]
    if problem := versions.check_bump(document["mixture"]["version"], version, diff.level):
        raise WorkError(f"{repo}: {problem}; raise `version` in the mixture and build it again")
    return versions.changelog(document, diff, version)


def _validate_same_content(
    repo: str, tag: str, files: Mapping[str, LocalFile], published: Mapping[str, Remote]
) -> None:
    """Compare a release with the published version; manifests may differ in their timings and are skipped."""
    compared = {name: local for name, local in files.items() if name not in (manifest.NAME, release.FULL_MANIFEST)}
    differing = sorted(set(compared) - plan.find_present(compared, published))
    differing += plan.find_stale(files, published)
    if differing:
        raise WorkError(
            f"{repo}: {tag} is published with other content ({summarize_names(differing)}), and a published version "
            "never changes: raise `version` in the mixture and build it again"
        )


def _validate_no_other_files(repo: str, files: Mapping[str, LocalFile], remote: Mapping[str, Remote]) -> None:
    foreign = [name for name in sorted(remote) if name not in files and name not in plan.IGNORED_FILES]
    if foreign:
        raise WorkError(
            f"{repo}: contains other files ({summarize_names(foreign)}) and no version of a mix; choose another --repo"
        )


def _overwritten_files(
    repo: str, files: Mapping[str, LocalFile], remote: Mapping[str, Remote], options: Options
) -> list[str]:
    """Describe the files that the push overwrites in a dataset without a mix.

    Raises:
        UsageError: there are some, and the user has not agreed with --yes.
    """
    replaced = sorted((files.keys() & remote.keys()) - plan.find_present(files, remote))
    if not replaced or release.FULL_MANIFEST in remote:
        return []
    line = f"{repo}: has a {summarize_names(replaced)}, which no push has written"
    if options.yes or options.dry_run:
        return [f"{line}; it will be overwritten" if options.yes else f"{line}; only --yes overwrites it"]
    raise UsageError(f"{line}; --yes overwrites it, another --repo leaves it alone")
