"""What a failure of the Hub's client means: whether to try again, after how long, and what to tell.

The client raises three kinds of things for one fault: `HfHubHTTPError` for an answer, an error of its HTTP library for
none, and during an upload a `RuntimeError` with the real one only as its cause. Nothing that it says is shown before
`scrubbed` took out what looks like a token: an illegal one stands in the error on the header that carries it.
"""

import re
from dataclasses import dataclass

from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    HTTPError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

LOG_IN = "log in (hf auth login, or a token in HF_TOKEN)"

_TOKEN = re.compile(r"hf_[A-Za-z0-9_-]{4,}|(?<=Bearer )[^\s'\"]+")
_ROOM = re.compile(r"quota|storage|too large|exceed", re.IGNORECASE)
_PASSING = (408, 409, 412, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Fault:
    """A failed request, read.

    Attributes:
        says: what happened, in a few words.
        passes: the same request may succeed later.
        wait: seconds that the Hub asks to wait, or None.
        status: of the answer, 0 where there was none.
        missing: the repository, the revision or the file is not there, or not for this user.
    """

    says: str
    passes: bool
    wait: float | None = None
    status: int = 0
    missing: bool = False


def read(error: BaseException) -> Fault | None:
    """Read what the client raised; None for what is no failure of the Hub or of the way there."""
    if isinstance(error, OfflineModeIsEnabled):
        return Fault("HF_HUB_OFFLINE is set; unset it to reach the Hub", passes=False)
    if isinstance(error, LocalTokenNotFoundError):
        return Fault(f"there is no token; {LOG_IN}", passes=False)
    if isinstance(error, HfHubHTTPError):
        return _answered(error)
    if isinstance(error, HTTPError):
        return Fault(f"no answer ({_reason(error)})", passes=True)
    if isinstance(error, RuntimeError):
        inner = read(error.__cause__) if error.__cause__ is not None else None
        return inner or Fault(_reason(error.__cause__ or error), passes=True)
    if isinstance(error, (ValueError, KeyError, TypeError)):
        return _unreadable(error)
    return None


def _answered(error: HfHubHTTPError) -> Fault:
    status = int(error.response.status_code)
    told = scrubbed(str(error.server_message or error.response.headers.get("X-Error-Message", "")))
    said = f" ({told})" if told else ""
    if isinstance(error, RepositoryNotFoundError):
        says = f"it is not there, or not for you, or the token has expired{said}; check the name and {LOG_IN}"
        return Fault(says, passes=False, status=status, missing=True)
    if status == 401:
        return Fault(f"the Hub does not take the token{said}; {LOG_IN}", passes=False, status=status)
    if status in (403, 413, 507) and (status != 403 or _ROOM.search(told)):
        says = f"the Hub has no room for it{said}; make room there, or ask for more"
        return Fault(says, passes=False, status=status)
    if status == 403 and not str(error.response.url).startswith(constants.ENDPOINT):
        return Fault("the address to send it to has expired", passes=True, status=status)
    if status == 403:
        says = f"you may not do that there{said}; {LOG_IN} with a token that may write"
        return Fault(says, passes=False, status=status)
    if status in _PASSING:
        return Fault(f"status {status}{said}", passes=True, wait=_wait(error), status=status)
    return Fault(f"status {status}{said}", passes=False, status=status, missing=status == 404)


def _wait(error: HfHubHTTPError) -> float | None:
    asked = error.response.headers.get("Retry-After", "")
    return float(asked) + 1 if asked.isdigit() else None


def _unreadable(error: Exception) -> Fault:
    """Read an error on an answer: a page instead of JSON passes, what the Hub finds wrong in a file does not."""
    if isinstance(error, (KeyError, TypeError)) or type(error).__name__ == "JSONDecodeError":
        return Fault(f"{constants.ENDPOINT} does not answer as the Hub does; is a proxy between?", passes=True)
    return Fault(_reason(error), passes=False)


def _reason(error: BaseException) -> str:
    return scrubbed(" ".join(str(error).split())) or type(error).__name__


def scrubbed(text: str) -> str:
    """Give a text without the user's token and without anything that looks like one."""
    token = get_token()
    if token:
        text = text.replace(token, "***")
    return _TOKEN.sub("***", " ".join(text.split()))
