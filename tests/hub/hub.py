"""The Hub: who may do what, and what is read. What is written to it stands in `writing`.

Routes and headers as huggingface_hub asks for them: repository information, refs, tree with pages, resolve with a
redirect for what lies in LFS, Range, and the error codes in `X-Error-Code`.
"""

import json
import re
from pathlib import Path
from typing import Any

from .discussions import Discussions
from .server import Answer, Call, Server
from .store import LFS_BYTES, File, Repository, Store
from .writing import Writing
from .xet import Xet

PAGE = 3
"""Entries of a page of the tree."""

ROUTE = re.compile(
    r"(?:/api)?/datasets/([^/]+/[^/]+?)(?:/(revision|tree|resolve|refs)(?:/(refs/pr/\d+|[^/]+)(?:/(.*))?)?)?"
)


class Hub(Server):
    """A Hub with `tokens`, each with its user and role (`read` or `write`); nobody else may write.

    `page` is the number of entries on a page of the tree, `waits` what its client, and medmix, slept. All its users
    are members of `organisations`.
    """

    def __init__(self, folder: Path, page: int = PAGE) -> None:
        super().__init__()
        self.store = Store(folder)
        self.repositories = self.store.repositories
        self.tokens = {"hf_writer": ("someone", "write"), "hf_reader": ("someone", "read")}
        self.waits: list[float] = []
        self.page = page
        self.storage = self.url.replace("127.0.0.1", "localhost")  # another host, as LFS has
        self.organisations: list[str] = []
        self.writing = Writing(self)
        self.discussions = Discussions(self)
        self.xet = Xet(self)

    def add(self, dataset: str, files: dict[str, bytes], commit: str = "", gated: bool = False) -> str:
        """Add a commit to a dataset, which becomes its `main`."""
        repository = self.repositories.setdefault(dataset, Repository())
        repository.gated = gated
        held = {name: self.store.file(data, len(data) >= LFS_BYTES) for name, data in files.items()}
        return repository.commit(held, "added", commit)

    def content(self, dataset: str, revision: str = "main") -> dict[str, bytes]:
        """Give every file of a revision."""
        repository = self.repositories[dataset]
        files = repository.commits[repository.resolved(revision)]
        return {name: self.store.get(file.sha256) for name, file in files.items()}

    def answer(self, call: Call) -> Answer:
        if call.path.startswith("/xet/"):
            return self.xet.answer(call)
        if call.token and call.token not in self.tokens:
            return error(401, "", "Invalid credentials in Authorization header")
        if call.path == "/api/whoami-v2":
            return self._who(call.token)
        if match := re.fullmatch(r"/lfs/([0-9a-f]{64})", call.path):
            data = self.store.get(match[1]) if call.method != "PUT" else None
            if data is not None:
                return Answer(200, data, {"ETag": f'"{match[1]}"', "Accept-Ranges": "bytes"})
        if call.method in ("POST", "PUT"):
            return self.writing.answer(call)
        return self._read(call)

    def _who(self, token: str) -> Answer:
        if not token:
            return error(401, "", "Invalid username or password.")
        user, role = self.tokens[token]
        orgs = [{"name": name, "roleInOrg": "write"} for name in self.organisations]
        access = {"displayName": "test", "role": role}
        return as_json({"type": "user", "name": user, "orgs": orgs, "auth": {"accessToken": access}})

    def _read(self, call: Call) -> Answer:
        if match := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/xet-write-token/(.+)", call.path):
            return self.xet.token(call.token, match[1], match[2])
        if match := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/discussions(?:/(\d+))?", call.path):
            return self.discussions.read(match[1], match[2])
        match = ROUTE.fullmatch(call.path)
        if match is None:
            return Answer(404, b"no such route")
        dataset, what, revision, file = match.groups()
        repository = self.repositories.get(dataset)
        if repository is None or (repository.private and not call.token):
            return error(401, "RepoNotFound", "Invalid username or password.")
        if repository.gated and what == "resolve" and not call.token:
            return error(403, "GatedRepo", f"Access to dataset {dataset} is restricted.")
        if what == "refs":
            return self._refs(repository)
        commit = repository.resolved(revision)
        if commit is None:
            return error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        files = repository.commits[commit]
        if what == "tree":
            return self._tree(call, files, (file or "").strip("/"))
        if what == "resolve":
            return self._resolve(commit, files[file]) if file in files else error(404, "EntryNotFound", "no entry")
        siblings = [{"rfilename": name} for name in files]
        told = {"private": repository.private, "gated": repository.gated}
        return as_json({"id": dataset, "sha": commit, "siblings": siblings, **told})

    def _refs(self, repository: Repository) -> Answer:
        branches = [
            {"name": name, "ref": f"refs/heads/{name}", "targetCommit": to} for name, to in repository.refs.items()
        ]
        tags = [{"name": name, "ref": f"refs/tags/{name}", "targetCommit": to} for name, to in repository.tags.items()]
        return as_json({"branches": branches, "tags": tags, "converts": []})

    def _tree(self, call: Call, files: dict[str, File], below: str) -> Answer:
        inside = {name: file for name, file in files.items() if not below or name.startswith(f"{below}/")}
        if below and not inside:
            return error(404, "EntryNotFound", f"{below} does not exist")
        recursive = call.query.get("recursive", ["false"])[0].lower() == "true"
        depth = below.count("/") + 1 if below else 0
        folders = {name.rsplit("/", cut)[0] for name in inside for cut in range(1, name.count("/") - depth + 1)}
        if not recursive:
            folders = {name for name in folders if name.count("/") == depth}
            inside = {name: file for name, file in inside.items() if name.count("/") == depth}
        entries: list[dict[str, Any]] = [
            {"type": "directory", "path": name, "oid": "0" * 40, "size": 0} for name in sorted(folders)
        ]
        entries += [{"type": "file", "path": name, **file.facts()} for name, file in sorted(inside.items())]
        first = int(call.query.get("cursor", ["0"])[0])
        answer = as_json(entries[first : first + self.page])
        if first + self.page < len(entries):
            asked = f"recursive={str(recursive).lower()}&cursor={first + self.page}"
            answer.headers["Link"] = f'<{self.url}{call.path}?{asked}>; rel="next"'
        return answer

    def _resolve(self, commit: str, file: File) -> Answer:
        headers = {"X-Repo-Commit": commit, "ETag": f'"{file.oid}"'}
        if not file.lfs:
            return Answer(200, self.store.get(file.sha256) or b"", headers)
        linked = {"X-Linked-Size": str(file.size), "X-Linked-ETag": f'"{file.sha256}"'}
        return Answer(302, b"", {**headers, **linked, "Location": f"{self.storage}/lfs/{file.sha256}"})


def as_json(document: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(document).encode(), {"Content-Type": "application/json"})


def error(status: int, code: str, message: str) -> Answer:
    headers = {"X-Error-Code": code} if code else {}
    return Answer(status, b"{}", {**headers, "X-Error-Message": message, "Content-Type": "application/json"})
