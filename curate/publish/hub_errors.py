"""Classify errors of the Hub's client: what happened, and whether and when a retry can help.

The client raises three kinds of errors for one cause: `HfHubHTTPError` for a response, an error of its HTTP library for
no response, and during an upload a `RuntimeError` whose cause is the real error. Xet raises others: see `xet_errors`.
`redact_token` filters every message before it is shown: the error on an illegal header contains the token.
"""

import re
from dataclasses import dataclass, replace

from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    HTTPError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from . import xet_errors
from .send_limit import MAX_SENDS, SendLimitReached

AGAIN = "run the same command again: uploaded files are not sent again"
LOG_IN = "log in (hf auth login, or a token in HF_TOKEN)"

_TOKEN = re.compile(r"hf_[A-Za-z0-9_-]{4,}|(?<=Bearer )[^\s'\"]+")
_SIGNATURE = re.compile(r"(https?://[^\s?'\")]+)\?[^\s'\")]*")
_STORAGE_LIMIT = re.compile(r"quota|storage|too large|exceed", re.IGNORECASE)
_TRANSIENT_STATUS = (408, 409, 412, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class HubFailure:
    """A failed request.

    Attributes:
        message: what happened, in a few words.
        is_transient: the same request may succeed later.
        retry_after: seconds that the Hub asks to wait, or None.
        not_found: the repository, the revision or the file does not exist or is not visible to this user.
        sends: how often the content was sent before the client gave up.
    """

    message: str
    is_transient: bool
    retry_after: float | None = None
    not_found: bool = False
    sends: int = 1


def classify(error: BaseException) -> HubFailure | None:
    """Classify an error that the client raised; None for errors that come from neither Hub nor network."""
    if isinstance(error, OfflineModeIsEnabled):
        return HubFailure("HF_HUB_OFFLINE is set; unset it to reach the Hub", is_transient=False)
    if isinstance(error, LocalTokenNotFoundError):
        return HubFailure(f"no token; {LOG_IN}", is_transient=False)
    if isinstance(error, HfHubHTTPError):
        return _classify_response(error)
    if isinstance(error, HTTPError):
        return HubFailure(f"no response ({_message(error)})", is_transient=True)
    if isinstance(error, SendLimitReached):
        return HubFailure(f"{error}, {MAX_SENDS} times; {AGAIN}", is_transient=False)
    if (failed := xet_errors.parse(error)) is not None:
        return _classify_xet(failed)
    if isinstance(error, RuntimeError):
        cause = classify(error.__cause__) if error.__cause__ is not None else None
        return cause or HubFailure(_message(error.__cause__ or error), is_transient=True)
    if isinstance(error, (KeyError, TypeError)) or type(error).__name__ == "JSONDecodeError":
        message = f"{constants.ENDPOINT} does not respond like the Hub; is a proxy in between?"
        return HubFailure(message, is_transient=True)
    if isinstance(error, ValueError):  # the Hub rejects the content of a file
        return HubFailure(_message(error), is_transient=False)
    return None


def _classify_response(error: HfHubHTTPError) -> HubFailure:
    status = int(error.response.status_code)
    detail = redact_token(str(error.server_message or error.response.headers.get("X-Error-Message", "")))
    suffix = f" ({detail})" if detail else ""
    if isinstance(error, RepositoryNotFoundError):
        message = f"not found, not accessible, or the token has expired{suffix}; check the name and {LOG_IN}"
        return HubFailure(message, is_transient=False, not_found=True)
    return _classify_status(status, detail, str(error.response.url), _retry_after(error))


def _classify_xet(failed: xet_errors.XetFailure) -> HubFailure:
    if failed.status is None:
        message = f"no response ({redact_token(failed.message)})" if failed.is_network else redact_token(failed.message)
        return HubFailure(message, is_transient=failed.is_transient, sends=failed.sends)
    found = _classify_status(failed.status, "", failed.url)
    if failed.status == 404 and failed.url.startswith(constants.ENDPOINT):
        message = f"not found, not accessible, or the token has expired; check the name and {LOG_IN}"
        return HubFailure(message, is_transient=False, not_found=True)
    return replace(found, message=f"{found.message} (Xet)", sends=failed.sends)


def _classify_status(status: int, detail: str, url: str, retry_after: float | None = None) -> HubFailure:
    suffix = f" ({detail})" if detail else ""
    is_storage = not url.startswith(constants.ENDPOINT)
    if status in _TRANSIENT_STATUS:
        return HubFailure(f"status {status}{suffix}", is_transient=True, retry_after=retry_after)
    if status in (403, 413, 507) and (status != 403 or _STORAGE_LIMIT.search(detail)):
        message = f"the Hub has no storage left for it{suffix}; free some there, or ask for more"
    elif status in (401, 403) and is_storage:
        return HubFailure("the upload address has expired", is_transient=True)
    elif status == 401:
        message = f"the Hub rejects the token{suffix}; {LOG_IN}"
    elif status == 403:
        message = f"permission denied{suffix}; {LOG_IN} with a token that may write"
    else:
        message = f"status {status}{suffix}"
    return HubFailure(message, is_transient=False, not_found=status == 404)


def _retry_after(error: HfHubHTTPError) -> float | None:
    seconds = error.response.headers.get("Retry-After", "")
    return float(seconds) + 1 if seconds.isdigit() else None


def _message(error: BaseException) -> str:
    return redact_token(" ".join(str(error).split())) or type(error).__name__


def redact_token(text: str) -> str:
    """Replace the user's token, anything that looks like a token, and the signatures of addresses by `***`."""
    token = get_token()
    if token:
        text = text.replace(token, "***")
    return _SIGNATURE.sub(r"\1?***", _TOKEN.sub("***", " ".join(text.split())))
