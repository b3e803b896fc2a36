"""Errors of hf_xet, the client of the Hub's storage of large files, which is written in Rust.

It raises builtin classes and says what happened in their text alone:

    ConnectionError: Network error: Request error: HTTP status client error (403 Forbidden), domain: https://...
    ConnectionError: Network error: Request middleware error: error sending request for url (https://...)
    RuntimeError: Internal error: Invalid response: ...

`ConnectionError` is also that of any response with an error status. Errors of local files are a plain `OSError`, and
of a `RuntimeError` without a status nothing more is known than its text: neither is read here.
"""

import re
from dataclasses import dataclass

_STATUS = re.compile(r"HTTP status \w+ error \((\d{3}) ")
_URL = re.compile(r"https?://[^\s'\")]+")
_XORB = "/xorbs/"
"""Part of the address to which a content is sent that the storage itself, asked before, did not take."""


@dataclass(frozen=True, slots=True)
class XetFailure:
    """A failed request of hf_xet.

    Attributes:
        message: the error's text, signatures included.
        status: of the response, or None.
        url: of the request, or "".
        is_network: there was no response.
        is_transient: the same request may succeed later; undecided if there is a status.
        sends: how often the content was sent.
    """

    message: str
    status: int | None
    url: str
    is_network: bool
    is_transient: bool
    sends: int


def parse(error: BaseException) -> XetFailure | None:
    """Read an error of hf_xet; None for all other errors."""
    text = " ".join(str(error).split()) or type(error).__name__
    status, url = _STATUS.search(text), _URL.search(text)
    own_class = type(error).__module__ == "hf_xet"  # of authentication, and of a missing object
    is_network = isinstance(error, (ConnectionError, TimeoutError))
    if not (own_class or is_network or (status and isinstance(error, RuntimeError))):
        return None
    return XetFailure(
        text,
        int(status[1]) if status else None,
        url[0] if url else "",
        is_network,
        not isinstance(error, FileNotFoundError),
        2 if url and _XORB in url[0] else 1,
    )
