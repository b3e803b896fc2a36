"""What is asked of the Hub about a dataset, and what is done there. Nothing here knows what a mix is.

The token comes from the Hub's usual places and is the client's own business: it is never read here but to say that
there is none, or that it cannot be one.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi, constants, get_token

from ..errors import WorkError
from ..fetch.hub import Remote, list_files
from . import faults
from .retries import Refused, asked

THREADS = 4
"""Files that are on their way at once."""

DATASET = "dataset"

CommitOperation = CommitOperationAdd | CommitOperationCopy | CommitOperationDelete


@dataclass(frozen=True, slots=True)
class State:
    """A dataset as the Hub has it: the commit that main is at, the commit of each tag, who may see it."""

    head: str
    tags: Mapping[str, str]
    private: bool
    gated: str | bool


@dataclass(frozen=True, slots=True)
class Local:
    """A file to send: where it lies, and what it is known to hold."""

    path: Path
    bytes: int
    sha256: str


def _api() -> HfApi:
    return HfApi(endpoint=constants.ENDPOINT)


def may_write() -> str:
    """Give the user's name, once the Hub took the token for one that may write.

    Raises:
        Refused: there is no token, it is no good, or it may only read.
    """
    what = "token"
    token = get_token()
    if token is None:
        raise _refused(what, f"there is none; {faults.LOG_IN}")
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise _refused(what, f"it holds characters that no token has; {faults.LOG_IN} again")
    who = asked(what, lambda: _api().whoami())
    role = (who.get("auth") or {}).get("accessToken", {}).get("role", "")
    if role == "read":
        raise _refused(what, f"it is that of {who['name']} and may only read; {faults.LOG_IN} with one that may write")
    return str(who["name"])


def _refused(what: str, says: str) -> Refused:
    return Refused(f"{what}: {says}", faults.Fault(says, passes=False))


def state(repo: str) -> State | None:
    """Give the state of a dataset; None where there is none of this name, or none that this user may see."""

    def ask() -> State:
        info = _api().dataset_info(repo, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT)
        refs = _api().list_repo_refs(repo, repo_type=DATASET)
        tags = {ref.name: ref.target_commit for ref in refs.tags}
        return State(str(info.sha), tags, bool(info.private), info.gated or False)

    try:
        return asked(repo, ask)
    except Refused as error:
        if error.fault.missing:
            return None
        raise


def files(repo: str, commit: str) -> dict[str, Remote]:
    """Give the files of a commit by path, with the Hub's digests."""
    return {remote.path: remote for remote in asked(f"{repo}: its files", lambda: list_files(repo, commit))}


def create(repo: str, private: bool) -> None:
    """Make a dataset unless it is there."""
    asked(repo, lambda: _api().create_repo(repo, repo_type=DATASET, private=private, exist_ok=True))


def settings(repo: str, private: bool | None, gated: Literal["auto", False] | None) -> None:
    """Set who may see a dataset and whether they have to accept its terms; None leaves a setting as it is."""
    call = _api().update_repo_settings
    asked(f"{repo}: settings", lambda: call(repo, repo_type=DATASET, private=private, gated=gated))


def upload(repo: str, wanted: Mapping[str, Local]) -> None:
    """Send the content of files that go to LFS, as far as the Hub has not got it; commits nothing."""

    def send() -> None:
        additions = _additions(wanted)
        _api().preupload_lfs_files(repo, additions, repo_type=DATASET, num_threads=THREADS)

    asked(f"{repo}: sending {_named(wanted)}", send)


def _named(wanted: Mapping[str, Local]) -> str:
    first = next(iter(wanted))
    return first if len(wanted) == 1 else f"{first} and {len(wanted) - 1} more"


def _additions(wanted: Mapping[str, Local]) -> list[CommitOperationAdd]:
    """Give operations that no earlier try has used: the client refuses those, or makes an empty commit of them.

    They know the digests, so that the client need not read the files for them, and the Hub refuses a file that has
    changed since.
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
    missing: Callable[[Mapping[str, Remote]], tuple[Mapping[str, Local], Iterable[str]]],
) -> str:
    """Commit files to main and give the commit where all of them are there.

    Each try looks at main first: what an earlier one did whose answer was lost, or somebody else, is not done again,
    and the new commit stands on what main is then.

    `missing` tells, given the files of main, those to add, with where they lie, and those to take away.
    """

    def send() -> str:
        head = str(_api().dataset_info(repo, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT).sha)
        wanted, gone = missing({remote.path: remote for remote in list_files(repo, head)})
        operations: list[CommitOperation] = list(_additions(wanted))
        operations += [CommitOperationDelete(path_in_repo=path) for path in gone]
        if not operations:
            return head
        made = _api().create_commit(
            repo,
            operations,
            commit_message=message,
            repo_type=DATASET,
            parent_commit=head,
            num_threads=THREADS,
        )
        return str(made.oid)

    return asked(f"{repo}: commit", send)


def tag(repo: str, name: str, at: str) -> None:
    """Let a tag name a commit; one that is there is never moved.

    Raises:
        WorkError: it names another commit.
    """

    def send() -> None:
        refs = _api().list_repo_refs(repo, repo_type=DATASET)
        target = next((ref.target_commit for ref in refs.tags if ref.name == name), None)
        if target is None:
            _api().create_tag(repo, tag=name, revision=at, repo_type=DATASET)
        elif target != at:
            raise WorkError(f"{repo}: the tag {name} is at {target} already, and tags are never moved")

    asked(f"{repo}: tag {name}", send)


def page(repo: str) -> str:
    """Give the address of a dataset's page."""
    return f"{constants.ENDPOINT}/datasets/{repo}"
