"""A limit for how often one content is sent in vain: the Hub's client repeats requests, and `retries` its calls.

limit = SendLimit()
client.event_hooks = {"request": [*others, limit.before_request], "response": [limit.after_response]}
"""

import threading
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from httpx2 import Request, Response

MAX_SENDS = 5
"""The same content is sent so often before a push gives up."""


class SendLimitReached(Exception):
    """A content was sent `MAX_SENDS` times in a row without success; the text is the last reason."""


class SendLimit:
    """Counts failed requests with a body by address; the client and its threads share one."""

    def __init__(self) -> None:
        self._failed: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def before_request(self, request: "Request") -> None:
        """Count the request as failed until its response comes.

        Raises:
            SendLimitReached: the earlier ones had no response.
        """
        if request.method in ("GET", "HEAD"):
            return
        with self._lock:
            self._failed[_key(request)] += 1
            if self._failed[_key(request)] > MAX_SENDS:
                raise SendLimitReached("no response")

    def after_response(self, response: "Response") -> None:
        """Forget the failures of a request that the server has dealt with.

        Raises:
            SendLimitReached: this was the last permitted try, and the server is still not ready.
        """
        is_failure = response.status_code == 429 or response.status_code >= 500
        with self._lock:
            if not is_failure:
                self._failed.pop(_key(response.request), None)
            elif self._failed[_key(response.request)] >= MAX_SENDS:
                raise SendLimitReached(f"status {response.status_code}")


def _key(request: "Request") -> tuple[str, str]:
    """Give method and address without the query, which is signed anew for each try."""
    return request.method, f"{request.url.host}{request.url.path}"
