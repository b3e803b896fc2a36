"""A Hub on this machine: the read routes that its client uses, with faults on request.

    hub.add("someone/pictures", {"data/train.parquet": b"..."})   -> commit
    hub.fail("resolve/.*train", "drop", times=1)
    hub.answered("resolve/.*train")                               -> its log

Routes and headers as huggingface_hub asks for them: repository information, tree with pages, resolve with a redirect
for what lies in LFS, Range, and the error codes in `X-Error-Code`.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LFS_BYTES = 1000
"""Files from this size on lie in LFS."""

PAGE = 3
"""Entries of a page of the tree."""


@dataclass
class Fault:
    """What goes wrong with the next `times` requests that fit `pattern`, `METHOD /path`.

    `kind` is a status, `drop` (the connection closes without an answer), `cut` (it closes after half of the body),
    `short` (the body is half as long as it should be, and says so) or `flip` (its first byte is another).
    """

    pattern: str
    kind: int | str
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """A request as it was answered: its status, the Range it asked for, the bytes of the body that went out."""

    line: str
    status: int
    range: str
    sent: int
    token: str = ""


@dataclass
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Server:
    """Answers `GET` and `HEAD` by `route`, keeps a log, and fails when asked to."""

    def __init__(self) -> None:
        self.log: list[Request] = []
        self.faults: list[Fault] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"double": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def route(self, path: str, query: dict[str, list[str]], method: str) -> Answer:
        raise NotImplementedError

    def fail(self, pattern: str, kind: int | str, times: int = 1, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.faults.append(Fault(pattern, kind, times, named))

    def fault(self, line: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.pattern, line):
                fault.times -= 1
                return fault
        return None

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
        line = f"{self.command} {unquote(self.path)}"
        fault = self.double.fault(line)
        if fault is not None and fault.kind == "drop":
            self._note(line, 0, 0)
            self.close_connection = True
            return
        parts = urlsplit(self.path)
        if fault is not None and isinstance(fault.kind, int):
            answer = Answer(fault.kind, b"{}", dict(fault.headers))
        else:
            answer = self.double.route(unquote(parts.path), parse_qs(parts.query), self.command)
        self._send(line, self._ranged(answer), str(fault.kind) if fault is not None else "")

    do_HEAD = do_GET

    def _ranged(self, answer: Answer) -> Answer:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if answer.status != 200 or match is None:
            return answer
        start, size = int(match[1]), len(answer.body)
        if start >= size:
            return Answer(416)
        headers = {**answer.headers, "Content-Range": f"bytes {start}-{size - 1}/{size}"}
        return Answer(206, answer.body[start:], headers)

    def _send(self, line: str, answer: Answer, kind: str) -> None:
        body = answer.body if self.command == "GET" else b""
        promised = len(answer.body)
        if kind in ("cut", "short"):
            body = body[: len(body) // 2]
            promised = len(body) if kind == "short" else promised
        if kind == "flip" and body:
            body = bytes([body[0] ^ 1]) + body[1:]
        self._note(line, answer.status, len(body))
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(promised), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        if kind == "cut":
            self.close_connection = True

    def _note(self, line: str, status: int, sent: int) -> None:
        token = self.headers.get("Authorization", "")
        self.double.log.append(Request(line, status, self.headers.get("Range", ""), sent, token))

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr, where tests look for the one error line."""


@dataclass
class _Repository:
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    main: str = ""
    gated: bool = False


class Hub(Server):
    def __init__(self) -> None:
        super().__init__()
        self.repositories: dict[str, _Repository] = {}
        self.waits: list[float] = []

    def add(self, dataset: str, files: dict[str, bytes], commit: str = "", gated: bool = False) -> str:
        """Add a commit to a dataset, which becomes its `main`."""
        digest = hashlib.sha1(repr((dataset, sorted(files.items()))).encode()).hexdigest()
        repository = self.repositories.setdefault(dataset, _Repository())
        repository.main = commit or digest
        repository.commits[repository.main] = dict(files)
        repository.gated = gated
        return repository.main

    def route(self, path: str, query: dict[str, list[str]], method: str) -> Answer:
        if match := re.fullmatch(r"/lfs/([0-9a-f]{64})", path):
            return self._stored(match[1])
        match = re.fullmatch(r"(?:/api)?/datasets/([^/]+/[^/]+)(?:/(revision|tree|resolve)/([^/]+)(?:/(.*))?)?", path)
        if match is None:
            return Answer(404, b"no such route")
        dataset, what, revision, file = match.groups()
        repository = self.repositories.get(dataset)
        if repository is None:
            return _error(401, "RepoNotFound", "Invalid username or password.")
        if repository.gated and what == "resolve":
            return _error(403, "GatedRepo", f"Access to dataset {dataset} is restricted.")
        commit = repository.main if revision in (None, "main") else revision
        if commit not in repository.commits:
            return _error(404, "RevisionNotFound", f"Invalid rev id: {commit}")
        files = repository.commits[commit]
        if what == "tree":
            return self._tree(path, files, int(query.get("cursor", ["0"])[0]))
        if what == "resolve":
            return self._resolve(commit, files, file) if file in files else _error(404, "EntryNotFound", "no entry")
        return _json({"id": dataset, "sha": commit, "siblings": [{"rfilename": name} for name in files]})

    def _tree(self, path: str, files: dict[str, bytes], first: int) -> Answer:
        folders = sorted({name.rsplit("/", 1)[0] for name in files if "/" in name})
        entries: list[dict[str, Any]] = [{"type": "directory", "path": name, "oid": "0", "size": 0} for name in folders]
        entries += [{"type": "file", "path": name, **_facts(data)} for name, data in sorted(files.items())]
        answer = _json(entries[first : first + PAGE])
        if first + PAGE < len(entries):
            answer.headers["Link"] = f'<{self.url}{path}?recursive=true&cursor={first + PAGE}>; rel="next"'
        return answer

    def _resolve(self, commit: str, files: dict[str, bytes], file: str) -> Answer:
        data = files[file]
        facts = _facts(data)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{facts["oid"]}"'}
        if "lfs" not in facts:
            return Answer(200, data, headers)
        sha256 = facts["lfs"]["oid"]
        linked = {"X-Linked-Size": str(len(data)), "X-Linked-ETag": f'"{sha256}"'}
        return Answer(302, b"", {**headers, **linked, "Location": f"{self.url}/lfs/{sha256}"})

    def _stored(self, sha256: str) -> Answer:
        for repository in self.repositories.values():
            for files in repository.commits.values():
                for data in files.values():
                    if hashlib.sha256(data).hexdigest() == sha256:
                        return Answer(200, data, {"ETag": f'"{sha256}"', "Accept-Ranges": "bytes"})
        return Answer(404)


def _facts(data: bytes) -> dict[str, Any]:
    """Give size and digests of a file as the tree states them; the git id of one in LFS is that of its pointer."""
    sha256 = hashlib.sha256(data).hexdigest()
    if len(data) < LFS_BYTES:
        return {"size": len(data), "oid": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(data)}\n".encode()
    oid = hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest()
    return {"size": len(data), "oid": oid, "lfs": {"oid": sha256, "size": len(data), "pointerSize": len(pointer)}}


def _json(document: object) -> Answer:
    return Answer(200, json.dumps(document).encode(), {"Content-Type": "application/json"})


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(status, b"{}", {"X-Error-Code": code, "X-Error-Message": message, "Content-Type": "application/json"})
