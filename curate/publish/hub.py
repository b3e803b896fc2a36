"""Requests to the Hub about a dataset: read its state, upload, commit, tag. Nothing here depends on mixes.

The client finds the token in its usual places. `revision` is a branch, `main` or another one, or a pull request
(`refs/pr/1`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi, constants
from huggingface_hub.hf_api import RepoFile

from ..errors import WorkError
from ..fetch import hub as reading
from ..fetch.hub import Remote
from . import hub_errors, xet
from .options import MAIN
from .retries import HubRefusal, call_with_retries

THREADS = 4
"""Files that are uploaded at the same time by LFS; `xet` has limits of its own."""

DATASET = "dataset"

CommitOperation = CommitOperationAdd | CommitOperationCopy | CommitOperationDelete


@dataclass(frozen=True, slots=True)
class DatasetState:
    """A dataset on the Hub: the commit of main, the commit of each tag, and its visibility."""

    head: str
    tags: Mapping[str, str]
    private: bool
    gated: str | bool


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to upload, with its size and digest."""

    path: Path
    bytes: int
    sha256: str


def _api() -> HfApi:
    return HfApi(endpoint=constants.ENDPOINT)


def dataset_state(repo: str) -> DatasetState | None:
    """Give the state of a dataset; None if it does not exist or is not visible to this user."""

    def request() -> DatasetState:
        info = _api().dataset_info(repo, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT)
        refs = _api().list_repo_refs(repo, repo_type=DATASET)
        tags = {ref.name: ref.target_commit for ref in refs.tags}
        return DatasetState(str(info.sha), tags, bool(info.private), info.gated or False)

    try:
        return call_with_retries(repo, request)
    except HubRefusal as error:
        if error.failure.not_found:
            return None
        raise


def head(repo: str, revision: str) -> str | None:
    """Give the last commit of a revision; None if it does not exist."""
    try:
        return call_with_retries(f"{repo}: {revision}", lambda: _head(repo, revision))
    except HubRefusal as error:
        if error.failure.not_found:
            return None
        raise


def _head(repo: str, revision: str) -> str:
    info = _api().dataset_info(repo, revision=revision, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT)
    return str(info.sha)


def list_files(repo: str, commit: str) -> dict[str, Remote]:
    """Give the files of a commit by path, with the Hub's digests."""
    remotes = call_with_retries(f"{repo}: its files", lambda: reading.list_files(repo, commit))
    return {remote.path: remote for remote in remotes}


def xet_digests(repo: str, commit: str) -> dict[str, str]:
    """Give the digests of the contents that are in Xet, by path; Xet computes them from what it has received."""

    def request() -> dict[str, str]:
        entries = _api().list_repo_tree(repo, recursive=True, revision=commit, repo_type=DATASET)
        return {entry.path: entry.xet_hash for entry in entries if isinstance(entry, RepoFile) and entry.xet_hash}

    return call_with_retries(f"{repo}: its files in Xet", request)


def create_dataset(repo: str, private: bool) -> None:
    """Create a dataset unless it exists."""
    call_with_retries(repo, lambda: _api().create_repo(repo, repo_type=DATASET, private=private, exist_ok=True))


def update_settings(repo: str, private: bool | None, gated: Literal["auto", False] | None) -> None:
    """Set the visibility of a dataset and whether users must accept its terms; None keeps a setting."""
    call = _api().update_repo_settings
    call_with_retries(f"{repo}: settings", lambda: call(repo, repo_type=DATASET, private=private, gated=gated))


def upload(repo: str, wanted: Mapping[str, LocalFile], revision: str = MAIN) -> None:
    """Upload the content of large files that the Hub does not have; commits nothing.

    Raises:
        WorkError: a file changed while it was uploaded.
    """
    call_with_retries(f"{repo}: upload of {summarize_names(list(wanted))}", lambda: _send(repo, wanted, revision))


def _send(repo: str, wanted: Mapping[str, LocalFile], revision: str) -> list[CommitOperationAdd]:
    """Upload the large ones of some files; give the operations that commit all of them.

    With Xet the digest is computed from the bytes as they are sent, and compared; LFS compares them on the other side.
    """
    additions = _additions(wanted)
    send = partial(
        _api().preupload_lfs_files, repo, additions, repo_type=DATASET, revision=revision, num_threads=THREADS,
        free_memory=False,
    )  # fmt: skip
    xet.interruptible(send)
    for addition in additions:
        sent = addition.upload_info
        if sent.is_hashed and sent.sha256.hex() != wanted[addition.path_in_repo].sha256:
            raise WorkError(f"{addition.path_in_repo}: changed during the push; {hub_errors.AGAIN}")
    return additions


def summarize_names(names: Sequence[str]) -> str:
    """Give the first name and the number of the others."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _additions(wanted: Mapping[str, LocalFile]) -> list[CommitOperationAdd]:
    """Give new operations for each try: the client rejects used ones, or makes an empty commit of them.

    For LFS they contain the digests, so that the client need not read the files, and the Hub rejects a file that
    changed. Xet would take a digest on trust, so there the client computes it.
    """
    additions = []
    for path, local in wanted.items():
        addition = CommitOperationAdd(path_in_repo=path, path_or_fileobj=str(local.path))
        if not xet.is_used():
            addition.upload_info.sha256 = bytes.fromhex(local.sha256)
        additions.append(addition)
    return additions


def commit(
    repo: str,
    message: str,
    changes: Callable[[Mapping[str, Remote]], tuple[Mapping[str, LocalFile], Iterable[str]]],
    revision: str = MAIN,
) -> str:
    """Commit files to a revision and give the commit that contains all of them.

    Each try reads the revision first. Changes that an earlier try or somebody else has made are not repeated, and the
    parent of the new commit is the current head.

    `changes` gives, for the files of the revision, the local files to add and the names to delete.
    """

    def send() -> str:
        parent = _head(repo, revision)
        added, deleted = changes({remote.path: remote for remote in reading.list_files(repo, parent)})
        deletions = [CommitOperationDelete(path_in_repo=path) for path in deleted]
        if not added and not deletions:
            return parent
        operations: list[CommitOperation] = [*_send(repo, added, revision), *deletions]
        created = _api().create_commit(
            repo,
            operations,
            commit_message=message,
            repo_type=DATASET,
            revision=revision,
            parent_commit=parent,
            num_threads=THREADS,
        )
        return str(created.oid)

    return call_with_retries(f"{repo}: commit", send)


def create_tag(repo: str, name: str, at: str) -> None:
    """Create a tag of a commit; an existing tag is never moved.

    Raises:
        WorkError: the tag exists at another commit.
    """

    def send() -> None:
        refs = _api().list_repo_refs(repo, repo_type=DATASET)
        target = next((ref.target_commit for ref in refs.tags if ref.name == name), None)
        if target is None:
            _api().create_tag(repo, tag=name, revision=at, repo_type=DATASET)
        elif target != at:
            raise WorkError(f"{repo}: the tag {name} exists at {target}, and tags are never moved")

    call_with_retries(f"{repo}: tag {name}", send)


def create_branch(repo: str, name: str) -> None:
    """Create a branch at the present main unless it exists."""
    call_with_retries(
        f"{repo}: branch {name}",
        lambda: _api().create_branch(repo, branch=name, repo_type=DATASET, exist_ok=True),
    )


def pull_request_revision(number: int) -> str:
    """Give the revision of a pull request."""
    return f"refs/pr/{number}"


def find_pull_request(repo: str, title: str, user: str) -> int | None:
    """Give the number of the user's open pull request of this title."""
    return call_with_retries(f"{repo}: its pull requests", lambda: _find_pull_request(repo, title, user))


def _find_pull_request(repo: str, title: str, user: str) -> int | None:
    known = _api().get_repo_discussions(repo, author=user, discussion_type="pull_request", repo_type=DATASET)
    for discussion in known:
        if (discussion.title, discussion.author) == (title, user) and discussion.status in ("draft", "open"):
            return int(discussion.num)
    return None


def open_pull_request(repo: str, title: str, user: str) -> int:
    """Open a pull request unless the user has one of this title, and give its number."""

    def request() -> int:
        known = _find_pull_request(repo, title, user)
        return known or int(_api().create_pull_request(repo, title, repo_type=DATASET).num)

    return call_with_retries(f"{repo}: pull request", request)


def publish_pull_request(repo: str, number: int) -> None:
    """Turn a draft, which a new pull request is, into an open one."""

    def request() -> None:
        if _api().get_discussion_details(repo, number, repo_type=DATASET).status == "draft":
            _api().change_discussion_status(repo, number, "open", repo_type=DATASET)

    call_with_retries(f"{repo}: pull request {number}", request)


def page_url(repo: str, revision: str = MAIN) -> str:
    """Give the URL of a dataset's page, of one of its branches, or of a pull request."""
    page = f"{constants.ENDPOINT}/datasets/{repo}"
    if revision == MAIN:
        return page
    number = revision.removeprefix("refs/pr/")
    return f"{page}/discussions/{number}" if number != revision else f"{page}/tree/{revision}"
