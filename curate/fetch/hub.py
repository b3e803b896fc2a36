"""Requests to the Hub and to PubMed Central; apart from push the only file that uses the network.

Routes: https://huggingface.co/docs/hub/api. Of the Hub's client only the requests are used; they retry by themselves
(429 with its Retry-After, 5xx). Its own download restarts a file after a kill, which is too slow for a zip of 20 GB,
and compares sizes, not digests.
"""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff, http_stream_backoff

from ..errors import WorkError
from ..progress import track_bytes
from ..read.download_record import DownloadedFile

CHUNK_BYTES = 1_000_000
MAX_DROPS = 5
"""A stream that breaks so many times without a byte in between is abandoned."""

PMC_URL = "https://pmc-oa-opendata.s3.amazonaws.com"
PMC_URL_VARIABLE = "MEDMIX_PMC_ADDRESS"

RETRY = "run the same command again: finished files are kept"


class Unreachable(WorkError):
    """The service cannot be reached now, whatever is requested."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A file of a commit on the Hub; `blob`, its git object id, digests the content where `sha256` does not."""

    path: str
    bytes: int
    blob: str
    sha256: str | None


class ContentCheck:
    """The content of a file as it is read, to compare with the digest that the Hub states."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self.bytes = 0
        self.sha256 = hashlib.sha256()
        self._blob = hashlib.sha1(b"blob %d\0" % remote.bytes, usedforsecurity=False)

    def update(self, data: bytes) -> None:
        """Add the next bytes."""
        self.bytes += len(data)
        self.sha256.update(data)
        if self.remote.sha256 is None:
            self._blob.update(data)

    def read(self, path: Path) -> None:
        """Add a whole file."""
        with path.open("rb") as handle:
            while data := handle.read(CHUNK_BYTES):
                self.update(data)

    def matches(self) -> bool:
        """Tell whether the bytes so far are the whole file."""
        if self.remote.sha256 is not None:
            return self.sha256.hexdigest() == self.remote.sha256
        return self._blob.hexdigest() == self.remote.blob


def cache_folder() -> Path:
    """Give medmix's folder beside the cache of the Hub's client; HF_HOME moves both."""
    return Path(constants.HF_HOME) / "medmix"


def current_commit(dataset: str, revision: str = "main") -> str:
    """Give the present commit of a branch or tag of a dataset on the Hub.

    Raises:
        WorkError: the request failed; the message gives the reason.
    """
    with readable_errors(dataset, revision), _check_hub_answer():
        url = f"{constants.ENDPOINT}/api/datasets/{dataset}/revision/{quote(revision, safe='')}"
        return str(_get(url).json()["sha"])


def list_matching(dataset: str, commit: str, patterns: Iterable[str]) -> list[Remote]:
    """List the files of a commit that match one of the patterns.

    Raises:
        WorkError: the request failed, a pattern matches no file, or a name leads out of the folder.
    """
    with readable_errors(dataset, commit), _check_hub_answer():
        found = list_files(dataset, commit)
    for pattern in patterns:
        if not any(fnmatchcase(remote.path, pattern) for remote in found):
            raise WorkError(f"{dataset} has no file {pattern} at {commit}; check on the Hub whether it was renamed")
    wanted = [remote for remote in found if any(fnmatchcase(remote.path, pattern) for pattern in patterns)]
    for remote in wanted:
        if PurePosixPath(remote.path).is_absolute() or ".." in PurePosixPath(remote.path).parts:
            raise WorkError(f"{dataset} names a file that leads out of its folder: {remote.path}; nothing was fetched")
    return wanted


def list_files(dataset: str, commit: str) -> list[Remote]:
    """List all files of a commit; the client's errors pass through."""
    entries: list[dict[str, Any]] = []
    url: str | None = f"{constants.ENDPOINT}/api/datasets/{dataset}/tree/{commit}?recursive=true"
    while url is not None:
        page = _get(url)
        entries += page.json()
        url = _next_page(page, url)
    return [_remote(entry) for entry in entries if entry["type"] == "file"]


def _next_page(page: Any, url: str) -> str | None:
    """Give the address of the next page of a listing; a request to it has the token, so it must be the Hub's."""
    link = page.links.get("next", {}).get("url")
    following = urljoin(url, link) if link else None
    if following is not None and urlsplit(following)[:2] != urlsplit(constants.ENDPOINT)[:2]:
        raise Unreachable(
            f"{constants.ENDPOINT} continues a listing at {urlsplit(following).netloc}, which is not the Hub; "
            "is a proxy between?"
        )
    return following


def _remote(entry: dict[str, Any]) -> Remote:
    return Remote(entry["path"], entry["size"], entry["oid"], (entry.get("lfs") or {}).get("oid"))


def read_tail(dataset: str, commit: str, remote: Remote, size: int) -> bytes:
    """Download the last `size` bytes of a file, or all of it.

    Raises:
        WorkError: the request failed; the message gives the reason.
    """
    url = f"{constants.ENDPOINT}/datasets/{dataset}/resolve/{commit}/{quote(remote.path)}"
    with readable_errors(dataset, commit):
        return b"".join(_stream(url, max(0, remote.bytes - size), remote.bytes))


def download(dataset: str, commit: str, remote: Remote, target: Path, work: Path, label: str) -> DownloadedFile:
    """Download a file to `target` through a part in `work`, resuming where an earlier run stopped.

    Raises:
        WorkError: the request failed, or the file arrived damaged; the message gives the reason.
    """
    part = work / f"{hashlib.sha256(remote.blob.encode()).hexdigest()[:20]}.part"
    content = ContentCheck(remote)
    if part.exists():
        content.read(part)
    url = f"{constants.ENDPOINT}/datasets/{dataset}/resolve/{commit}/{quote(remote.path)}"
    with readable_errors(dataset, commit), part.open("ab") as handle:
        for data in track_bytes(_stream(url, content.bytes, remote.bytes), remote.bytes, content.bytes, label):
            handle.write(data)
            content.update(data)
        handle.flush()
        os.fsync(handle.fileno())
    if not content.matches():
        part.unlink()
        raise WorkError(f"{remote.path} did not arrive as {dataset} has it (another digest); {RETRY}")
    target.parent.mkdir(parents=True, exist_ok=True)
    part.replace(target)
    return DownloadedFile(remote.bytes, content.sha256.hexdigest())


def _stream(url: str, start: int, size: int) -> Iterator[bytes]:
    """Give the bytes from `start` on; resume where a connection broke."""
    drops = 0
    while start < size:
        try:
            for data in _stream_once(url, start):
                start += len(data)
                drops = 0
                yield data
        except HTTPError as error:
            if isinstance(error, HfHubHTTPError) or drops == MAX_DROPS:
                raise
        if start < size:
            drops += 1
            if drops > MAX_DROPS:
                raise Unreachable(f"{url} ends after {start} of {size} bytes; {RETRY}")
            time.sleep(2**drops)


def _stream_once(url: str, start: int) -> Iterator[bytes]:
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with http_stream_backoff(
        "GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT, retry_on_exceptions=()
    ) as response:
        hf_raise_for_status(response)
        surplus = start if response.status_code == 200 else 0  # a server that knows no Range sends all
        for data in response.iter_bytes():  # in larger pieces the last one would be lost with the connection
            if data[surplus:]:
                yield data[surplus:]
            surplus = max(0, surplus - len(data))


def _get(url: str, headers: dict[str, str] | None = None) -> Any:
    headers = build_hf_headers() if headers is None else headers
    response = http_backoff("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT)
    hf_raise_for_status(response)
    return response


def pmc_url() -> str:
    """Give the address of PubMed Central's bucket; an environment variable may name a mirror."""
    return os.environ.get(PMC_URL_VARIABLE, PMC_URL).rstrip("/")


def read_text(url: str, service: str) -> str:
    """Download the text at a public address of a service other than the Hub; no token is sent.

    Raises:
        Unreachable: the request failed; the message gives the reason.
    """
    try:
        return str(_get(url, headers={}).text)
    except OfflineModeIsEnabled:
        raise Unreachable("HF_HUB_OFFLINE is set; unset it to fetch") from None
    except HfHubHTTPError as error:
        raise Unreachable(f"{service} answers {error.response.status_code} to {url}; {RETRY}") from error
    except HTTPError as error:
        raise Unreachable(f"no way to {service} ({_reason(error)}); check the network and {RETRY}") from error


@contextmanager
def readable_errors(dataset: str, revision: str) -> Iterator[None]:
    """Turn the client's errors on a dataset into a `WorkError` that names the remedy."""
    page = f"{constants.ENDPOINT}/datasets/{dataset}"
    log_in = "log in (hf auth login, or a token in HF_TOKEN)"
    try:
        yield
    except OfflineModeIsEnabled:
        raise Unreachable("HF_HUB_OFFLINE is set; unset it to fetch") from None
    except GatedRepoError as error:
        raise WorkError(f"{dataset} asks each user to accept its terms: do so on {page}, then {log_in}") from error
    except RevisionNotFoundError as error:
        raise WorkError(f"{dataset} has no revision {revision} any more; see {page}/commits/main") from error
    except RemoteEntryNotFoundError as error:
        raise WorkError(f"{dataset} lacks a file that it lists at {revision}; see {page}") from error
    except RepositoryNotFoundError as error:
        raise WorkError(f"{dataset} does not exist or is not open to you: see {page}, and {log_in}") from error
    except HfHubHTTPError as error:
        raise _status_error(dataset, error, log_in) from error
    except HTTPError as error:
        where = constants.ENDPOINT
        raise Unreachable(f"no way to {where} ({_reason(error)}); check the network and {RETRY}") from error


@contextmanager
def _check_hub_answer() -> Iterator[None]:
    """Turn errors in reading an answer into `Unreachable`: it is not the Hub's, perhaps a proxy's log-in page."""
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        raise Unreachable(f"{constants.ENDPOINT} does not answer as the Hub does; is a proxy between?") from error


def _status_error(dataset: str, error: HfHubHTTPError, log_in: str) -> WorkError:
    status = error.response.status_code
    if status in (401, 403):
        return WorkError(f"{dataset} is refused to you (status {status}): {log_in} as a user who may read it")
    if status == 429:
        return Unreachable(f"the Hub asks to slow down (status 429); wait some minutes, then {RETRY}")
    return Unreachable(f"the Hub answers with status {status}; wait a while, then {RETRY}")


def _reason(error: HTTPError) -> str:
    return " ".join(str(error).split()) or type(error).__name__
