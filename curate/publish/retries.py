"""Asking the Hub until it answers: back-off, one line for each failure, no request without a time-out."""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from huggingface_hub import set_client_factory
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from huggingface_hub.utils._http import default_client_factory

from ..errors import WorkError
from ..progress import say
from . import faults

Answer = TypeVar("Answer")

WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Before each new try; what the Hub asks for counts first."""

TIMEOUT_S = 120.0
"""Of connecting, and of each wait for the next bytes; the client itself would wait for ever."""

AGAIN = "run the same command again: what has arrived is not sent again"

_MET = re.compile(r"(?:HTTP Error (?P<status>\d+)|'(?P<error>.*)') thrown while requesting (?P<call>\w+) (?P<url>\S+)")
_PAUSE = re.compile(r"(?:Retrying in|Waiting) (?P<seconds>[\d.]+)s")


class Refused(WorkError):
    """The Hub, or the way there, says no, and asking again would not help."""

    def __init__(self, line: str, fault: faults.Fault) -> None:
        super().__init__(line)
        self.fault = fault


def asked(what: str, call: Callable[[], Answer]) -> Answer:
    """Give what `call` gives, calling it again when it fails in a way that passes.

    `call` is made anew each time, so it has to look itself at what an earlier try, whose answer was lost, has done.

    Raises:
        Refused: it fails in a way that does not pass, or too often; says why.
    """
    for wait in (*WAITS_S, None):
        try:
            return call()
        except WorkError:
            raise
        except Exception as error:
            fault = faults.read(error)
            if fault is None:
                raise
            if not fault.passes:
                raise Refused(f"{what}: {fault.says}", fault) from error
            if wait is None:
                raise Refused(f"{what}: {fault.says}, {len(WAITS_S) + 1} times; {AGAIN}", fault) from error
            pause = fault.wait or wait
        say(f"{what}: {fault.says}; again in {pause:.0f} s")
        time.sleep(pause)
    raise AssertionError("the last try returns or raises")


@contextmanager
def session() -> Iterator[None]:
    """Let the client have time-outs, tell its own retries in a line each, and draw no bars, while the block runs."""
    logger = logging.getLogger("huggingface_hub")
    handlers, bars = logger.handlers[:], not are_progress_bars_disabled()
    logger.handlers = [_Told()]
    disable_progress_bars()
    set_client_factory(_client)
    try:
        yield
    finally:
        set_client_factory(default_client_factory)
        logger.handlers = handlers
        if bars:
            enable_progress_bars()


def _client() -> Any:
    client = default_client_factory()
    client.timeout = TIMEOUT_S
    return client


class _Told(logging.Handler):
    """Tells the client's retries, which it logs in two parts and with addresses that carry signatures."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._met = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if met := _MET.search(message):
            path = re.sub(r"^\w+://[^/]+|\?.*$", "", met["url"])
            says = f"status {met['status']}" if met["status"] else f"no answer ({faults.scrubbed(met['error'])})"
            self._met.line = f"{met['call']} {path}: {says}"
        elif pause := _PAUSE.search(message):
            say(f"{getattr(self._met, 'line', 'the Hub')}; again in {float(pause['seconds']):.0f} s")
        else:
            say(faults.scrubbed(message))
