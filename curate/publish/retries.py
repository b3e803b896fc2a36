"""Retries of requests to the Hub: back-off, one log line for each failure, a time-out for every request."""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from huggingface_hub import set_client_factory
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from huggingface_hub.utils._http import default_client_factory

from ..errors import WorkError
from ..progress import say
from . import hub_errors
from .send_limit import MAX_SENDS, SendLimit

Answer = TypeVar("Answer")

BACKOFF_S = (1.0, 4.0, 16.0, 64.0)
"""Waiting time before each retry, of which there are `MAX_SENDS` - 1; a time that the Hub asks for has priority."""

TIMEOUT_S = 120.0
"""Limit for connecting and for each read; the client itself has no limit."""

_FAILED_REQUEST = re.compile(
    r"(?:HTTP Error (?P<status>\d+)|'(?P<error>.*)') thrown while requesting (?P<call>\w+) (?P<url>\S+)"
)
_PAUSE = re.compile(r"(?:Retrying in|Waiting) (?P<seconds>[\d.]+)s")


class HubRefusal(WorkError):
    """A request to the Hub failed for good: a retry would not help, or all retries failed."""

    def __init__(self, line: str, failure: hub_errors.HubFailure) -> None:
        super().__init__(line)
        self.failure = failure


def call_with_retries(what: str, call: Callable[[], Answer]) -> Answer:
    """Give the result of `call`, which is repeated after transient failures.

    The response to an earlier try may be lost, so `call` itself has to check what that try has done.

    Raises:
        HubRefusal: the failure is not transient, or all retries failed; the message gives the reason.
    """
    sent = 0
    for number, wait in enumerate((*BACKOFF_S, 0.0), start=1):
        try:
            return call()
        except WorkError:
            raise
        except Exception as error:
            failure = hub_errors.classify(error)
            if failure is None:
                raise
            if not failure.is_transient:
                raise HubRefusal(f"{what}: {failure.message}", failure) from error
            sent += failure.sends
            if sent + failure.sends > MAX_SENDS:
                line = f"{what}: {failure.message}, {number} times; {hub_errors.AGAIN}"
                raise HubRefusal(line, failure) from error
            pause = failure.retry_after or wait
        say(f"{what}: {failure.message}; retry in {pause:.0f} s")
        time.sleep(pause)
    raise AssertionError("the last try returns or raises")


@contextmanager
def client_session() -> Iterator[None]:
    """Give the client time-outs, limits, one log line for each of its retries, and no progress bars, in the block."""
    logger = logging.getLogger("huggingface_hub")
    handlers, bars = logger.handlers[:], not are_progress_bars_disabled()
    logger.handlers = [_RetryLogHandler()]
    disable_progress_bars()
    set_client_factory(partial(_client, SendLimit()))
    try:
        yield
    finally:
        set_client_factory(default_client_factory)
        logger.handlers = handlers
        if bars:
            enable_progress_bars()


def _client(limit: SendLimit) -> Any:
    client = default_client_factory()
    client.timeout = TIMEOUT_S
    hooks = client.event_hooks
    client.event_hooks = {
        "request": [*hooks["request"], limit.before_request],
        "response": [*hooks["response"], limit.after_response],
    }
    return client


class _RetryLogHandler(logging.Handler):
    """Reports the client's retries, which it logs in two parts and with addresses that contain signatures."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last_failure = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if match := _FAILED_REQUEST.search(message):
            path = re.sub(r"^\w+://[^/]+|\?.*$", "", match["url"])
            status, error = match["status"], match["error"]
            reason = f"status {status}" if status else f"no response ({hub_errors.redact_token(error)})"
            self._last_failure.line = f"{match['call']} {path}: {reason}"
        elif pause := _PAUSE.search(message):
            say(f"{getattr(self._last_failure, 'line', 'the Hub')}; retry in {float(pause['seconds']):.0f} s")
        else:
            say(hub_errors.redact_token(message))
