"""The wire: requests in, answers out, each one in a log, and what goes wrong on the way."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

PIECE = 16_384


@dataclass
class Fault:
    """What goes wrong with the next `times` requests that fit `pattern`, `METHOD /path`.

    `kind` is a status, or
    - `drop`: the connection closes without an answer, and nothing was done;
    - `late`: all is done, then the connection closes without an answer;
    - `reset`: as `drop`, by a reset;
    - `late-504`: all is done, the answer says 504;
    - `half`: the connection closes after half of what is sent to the server;
    - `cut`: it closes after half of the answer's body;
    - `short`: the body is half as long as it should be, and says so;
    - `flip`: the first byte of the body is another;
    - `html`: 502 with a page that no client can read;
    - `stall`: no answer comes as long as the client waits;
    - a function: it is called before the request is answered as ever.

    The first `skip` requests that fit are left alone.
    """

    pattern: str
    kind: int | str | Callable[[], None]
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    skip: int = 0


@dataclass(frozen=True)
class Request:
    """A request as it was answered: its status, 0 for none.

    `range` is the Range that it asked for, `sent` the bytes of the body that went out, `received` those that came.
    """

    line: str
    status: int
    range: str
    sent: int
    token: str = ""
    received: int = 0


@dataclass
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """What a client sends: decoded path, query, method, body and token."""

    path: str
    query: dict[str, list[str]]
    method: str
    body: bytes = b""
    token: str = ""


class _Broken(Exception):
    """The client, or a fault, ended the connection while the body came."""

    def __init__(self, received: int) -> None:
        self.received = received


class Server:
    """Answers `GET` and `HEAD` by `route` and what is sent to it by `receive`; keeps a log; fails when asked to."""

    def __init__(self) -> None:
        self.log: list[Request] = []
        self.faults: list[Fault] = []
        self.rate: float | None = None
        self._lock = threading.Lock()
        self._open = 0
        self._idle = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"double": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, rate: float | None) -> None:
        """Take so many bytes a second from a connection and buffer few, so that a kill cuts off the rest."""
        self.rate = rate
        if rate is not None:
            self._server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)

    def route(self, path: str, query: dict[str, list[str]], method: str) -> Answer:
        raise NotImplementedError

    def answer(self, call: Call) -> Answer:
        return self.route(call.path, call.query, call.method)

    def fail(
        self, pattern: str, kind: int | str | Callable[[], None], times: int = 1, skip: int = 0, **headers: str
    ) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.faults.append(Fault(pattern, kind, times, named, skip))

    def fault(self, line: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.pattern, line):
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None

    @contextmanager
    def answering(self) -> Iterator[None]:
        with self._idle:
            self._open += 1
        try:
            yield
        finally:
            with self._idle:
                self._open -= 1
                self._idle.notify_all()

    def wait_until_idle(self) -> None:
        """Wait for the end of all that is being done, of a client that was killed too."""
        with self._idle:
            self._idle.wait_for(lambda: self._open == 0, timeout=60)

    def answered(self, pattern: str) -> list[Request]:
        return [request for request in self.log if re.search(pattern, request.line)]

    @contextmanager
    def running(self) -> Iterator["Server"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    double: Server

    def do_GET(self) -> None:
        with self.double.answering():
            self._do()

    def _do(self) -> None:
        line = f"{self.command} {unquote(self.path)}"
        fault = self.double.fault(line)
        kind = fault.kind if fault is not None else ""
        try:
            body = self._body(half=kind == "half")
        except _Broken as broken:
            self._note(line, 0, 0, broken.received)
            self.close_connection = True
            return
        if kind in ("drop", "reset", "stall"):
            self._note(line, 0, 0, len(body))
            self._end(str(kind))
            return
        if callable(kind):
            kind()
            kind = ""
        parts = urlsplit(self.path)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if fault is not None and isinstance(kind, int):
            answer = Answer(kind, b"{}", dict(fault.headers))
        elif kind == "html":
            answer = Answer(502, b"<html>Bad gateway</html>", {"Content-Type": "text/html"})
        else:
            answer = self.double.answer(Call(unquote(parts.path), parse_qs(parts.query), self.command, body, token))
        if kind == "late":
            self._note(line, 0, 0, len(body))
            self._end("drop")
            return
        if kind == "late-504":
            answer = Answer(504, b"<html>Gateway timeout</html>")
        self._send(line, self._ranged(answer), str(kind), len(body))

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _body(self, half: bool) -> bytes:
        """Read what the client sends; raises `_Broken` when it ends early."""
        size = int(self.headers.get("Content-Length", "0"))
        wanted = size // 2 if half else size
        data = bytearray()
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            while length := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                data += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
            wanted = len(data)
        while len(data) < wanted:
            try:
                piece = self.rfile.read1(min(PIECE, wanted - len(data)))
            except OSError:
                piece = b""
            if not piece:
                raise _Broken(len(data))
            data += piece
            if self.double.rate is not None:
                time.sleep(len(piece) / self.double.rate)
        if half:
            raise _Broken(len(data))
        return bytes(data)

    def _end(self, kind: str) -> None:
        self.close_connection = True
        if kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.connection.close()
        if kind == "stall":
            with suppress(OSError):
                self.connection.settimeout(30)
                self.connection.recv(1)

    def _ranged(self, answer: Answer) -> Answer:
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if answer.status != 200 or match is None:
            return answer
        start, size = int(match[1]), len(answer.body)
        if start >= size:
            return Answer(416)
        end = min(int(match[2]), size - 1) if match[2] else size - 1
        headers = {**answer.headers, "Content-Range": f"bytes {start}-{end}/{size}"}
        return Answer(206, answer.body[start : end + 1], headers)

    def _send(self, line: str, answer: Answer, kind: str, received: int) -> None:
        body = b"" if self.command == "HEAD" else answer.body
        promised = len(answer.body)
        if kind in ("cut", "short"):
            body = body[: len(body) // 2]
            promised = len(body) if kind == "short" else promised
        if kind == "flip" and body:
            body = bytes([body[0] ^ 1]) + body[1:]
        self._note(line, answer.status, len(body), received)
        with suppress(ConnectionError):  # of a client that was killed
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(promised), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        if kind == "cut":
            self.close_connection = True

    def _note(self, line: str, status: int, sent: int, received: int) -> None:
        token = self.headers.get("Authorization", "")
        self.double.log.append(Request(line, status, self.headers.get("Range", ""), sent, token, received))

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr, where tests look for the one error line."""

    def handle(self) -> None:
        with suppress(ConnectionError):  # of a client that was killed
            super().handle()
