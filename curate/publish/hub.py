"""Requests to the Hub about a dataset: read its state, upload, commit, tag. Nothing here depends on mixes.

The client finds the token in its usual places. This file reads it only to report that it is missing or malformed.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi, constants, get_token

from ..errors import WorkError
from ..fetch import hub as reading
from ..fetch.hub import Remote
from . import hub_errors
from .retries import HubRefusal, call_with_retries

THREADS = 4
"""Files that are uploaded at the same time."""

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


def validate_token() -> str:
    """Check that the token may write, and give the user's name.

    Raises:
        HubRefusal: the token is missing, malformed, rejected or read-only.
    """
    token = get_token()
    if token is None:
        raise _token_error(f"not found; {hub_errors.LOG_IN}")
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise _token_error(f"contains characters that no token has; {hub_errors.LOG_IN} again")
    user = call_with_retries("token", lambda: _api().whoami())
    role = (user.get("auth") or {}).get("accessToken", {}).get("role", "")
    if role == "read":
        raise _token_error(f"belongs to {user['name']} and is read-only; {hub_errors.LOG_IN} with one that may write")
    return str(user["name"])


def _token_error(reason: str) -> HubRefusal:
    return HubRefusal(f"token: {reason}", hub_errors.HubFailure(reason, is_transient=False))


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


def list_files(repo: str, commit: str) -> dict[str, Remote]:
    """Give the files of a commit by path, with the Hub's digests."""
    remotes = call_with_retries(f"{repo}: its files", lambda: reading.list_files(repo, commit))
    return {remote.path: remote for remote in remotes}


def create_dataset(repo: str, private: bool) -> None:
    """Create a dataset unless it exists."""
    call_with_retries(repo, lambda: _api().create_repo(repo, repo_type=DATASET, private=private, exist_ok=True))


def update_settings(repo: str, private: bool | None, gated: Literal["auto", False] | None) -> None:
    """Set the visibility of a dataset and whether users must accept its terms; None keeps a setting."""
    call = _api().update_repo_settings
    call_with_retries(f"{repo}: settings", lambda: call(repo, repo_type=DATASET, private=private, gated=gated))


def upload(repo: str, wanted: Mapping[str, LocalFile]) -> None:
    """Upload the content of LFS files that the Hub does not have; commits nothing."""

    def send() -> None:
        additions = _additions(wanted)
        _api().preupload_lfs_files(repo, additions, repo_type=DATASET, num_threads=THREADS)

    call_with_retries(f"{repo}: upload of {summarize_names(list(wanted))}", send)


def summarize_names(names: Sequence[str]) -> str:
    """Give the first name and the number of the others."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _additions(wanted: Mapping[str, LocalFile]) -> list[CommitOperationAdd]:
    """Give new operations for each try: the client rejects used ones, or makes an empty commit of them.

    They contain the digests, so that the client need not read the files, and the Hub rejects a file that changed.
    """
    additions = []
    for path, local in wanted.items():
        addition = CommitOperationAdd(path_in_repo=path, path_or_fileobj=str(local.path))
        addition.upload_info.sha256 = bytes.fromhex(local.sha256)
        additions.append(addition)
    return additions


def commit(
    repo: str,
    message: str,
    changes: Callable[[Mapping[str, Remote]], tuple[Mapping[str, LocalFile], Iterable[str]]],
) -> str:
    """Commit files to main and give the commit that contains all of them.

    Each try reads main first. Changes that an earlier try or somebody else has made are not repeated, and the parent
    of the new commit is the current main.

    `changes` gives, for the files of main, the local files to add and the names to delete.
    """

    def send() -> str:
        head = str(_api().dataset_info(repo, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT).sha)
        added, deleted = changes({remote.path: remote for remote in reading.list_files(repo, head)})
        operations: list[CommitOperation] = list(_additions(added))
        operations += [CommitOperationDelete(path_in_repo=path) for path in deleted]
        if not operations:
            return head
        created = _api().create_commit(
            repo,
            operations,
            commit_message=message,
            repo_type=DATASET,
            parent_commit=head,
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


def page_url(repo: str) -> str:
    """Give the URL of a dataset's page."""
    return f"{constants.ENDPOINT}/datasets/{repo}"
