"""What is written to the Hub: repositories, settings, uploads by LFS, commits, tags.

A blob that LFS has of a repository is not asked for again, and what is committed must be there.
"""

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import yaml

from .server import Answer, Call
from .store import File, Repository, git_id, pointer

if TYPE_CHECKING:
    from .hub import Hub

ROUTE = re.compile(
    r"/(?:api/)?datasets/([^/]+/[^/]+?)(?:\.git)?/(preupload|info|commit|tag|settings|branch|discussions)(?:/(.*))?"
)


class Writing:
    def __init__(self, hub: "Hub") -> None:
        self.hub = hub
        self.quota: int | None = None

    def answer(self, call: Call) -> Answer:
        from .hub import error

        if match := re.fullmatch(r"/lfs/([^/]+/[^/]+)/([0-9a-f]{64})", call.path):
            return self._upload(match[1], match[2], call.body)
        if call.path == "/api/validate-yaml":
            return self._validate(json.loads(call.body)["content"])
        user, role = self.hub.tokens.get(call.token, ("", ""))
        if not call.token:
            return error(401, "", "Invalid username or password.")
        if role != "write":
            return error(403, "", "you must use a write token to write to a repository")
        if call.path == "/api/repos/create":
            return self._create(user, json.loads(call.body))
        match = ROUTE.fullmatch(call.path)
        if match is None:
            return Answer(404, b"no such route")
        dataset, what, rest = match.groups()
        repository = self.hub.repositories.get(dataset)
        if repository is None:
            return error(404, "RepoNotFound", "Repository not found")
        if what == "discussions":
            return self.hub.discussions.write(repository, dataset, user, rest, json.loads(call.body))
        revision = json.loads(call.body).get("ref", {}).get("name", "") if what == "info" else rest or ""
        is_proposal = revision.startswith("refs/pr/")  # anybody may write to one's own
        if dataset.split("/")[0] not in (user, *self.hub.organisations) and not is_proposal:
            return error(403, "", "You don't have the required permissions to perform this operation.")
        with self.hub.store.lock:
            if what == "commit":
                return self._commit(repository, dataset, rest or "main", call.body)
            document = json.loads(call.body)
            if what == "preupload":
                return self._preupload(repository, rest or "main", document)
            if what == "info":
                return self._batch(repository, dataset, document)
            if what == "settings":
                return self._settings(repository, document)
            if what == "branch":
                return self._branch(repository, rest or "")
            return self._tag(repository, rest, document["tag"])

    def _create(self, user: str, wanted: dict[str, Any]) -> Answer:
        from .hub import as_json, error

        owner = wanted["organization"] or user
        if owner not in (user, *self.hub.organisations):
            return error(403, "", f'You don\'t have the rights to create a dataset under the namespace "{owner}"')
        name = f"{owner}/{wanted['name']}"
        address = f"{self.hub.url}/datasets/{name}"
        if name in self.hub.repositories:
            return as_json({"error": "You already created this dataset repo", "url": address}, 409)
        repository = Repository(private=wanted.get("visibility") == "private")
        repository.commit({".gitattributes": self.hub.store.file(b"*.parquet filter=lfs\n", False)}, "initial commit")
        self.hub.repositories[name] = repository
        return as_json({"url": address, "name": name, "id": name})

    def _validate(self, card: str) -> Answer:
        from .hub import as_json

        head = yaml.safe_load(card.split("---")[1])
        is_sound = isinstance(head, dict) and isinstance(head.get("license", ""), str)
        errors = [] if is_sound else [{"message": '"license" must be a string'}]
        return as_json({"errors": errors, "warnings": []}, 400 if errors else 200)

    def _settings(self, repository: Repository, wanted: dict[str, Any]) -> Answer:
        from .hub import as_json

        repository.gated = wanted.get("gated", repository.gated)
        if "visibility" in wanted:
            repository.private = wanted["visibility"] == "private"
        return as_json({"private": repository.private, "gated": repository.gated})

    def _branch(self, repository: Repository, name: str) -> Answer:
        from .hub import as_json, error

        if name in repository.refs:
            return error(409, "", f"Branch {name} exists already")
        repository.refs[name] = repository.main
        return as_json({})

    def _preupload(self, repository: Repository, revision: str, document: dict[str, Any]) -> Answer:
        from .hub import as_json, error

        commit = repository.resolved(revision)
        if commit is None:
            return error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        files = repository.commits[commit]
        return as_json(
            {
                "files": [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(".parquet") else "regular",
                        "shouldIgnore": False,
                        "oid": _known(files.get(file["path"])),
                    }
                    for file in document["files"]
                ]
            }
        )

    def _batch(self, repository: Repository, dataset: str, document: dict[str, Any]) -> Answer:
        from .hub import as_json, error

        wanted = sum(one["size"] for one in document["objects"] if one["oid"] not in repository.lfs)
        if self.quota is not None and wanted > self.quota:
            return error(403, "", "You have exceeded your storage quota; upgrade to store more")
        objects = []
        for one in document["objects"]:
            held = {"oid": one["oid"], "size": one["size"]}
            if one["oid"] not in repository.lfs:
                place = f"{self.hub.storage}/lfs/{dataset}/{one['oid']}"
                held["actions"] = {"upload": {"href": f"{place}?signature=secret"}}
            objects.append(held)
        return as_json({"transfer": "basic", "objects": objects})

    def _upload(self, dataset: str, sha256: str, data: bytes) -> Answer:
        if hashlib.sha256(data).hexdigest() != sha256:
            return Answer(400, b"BadDigest")
        self.hub.store.put(data)
        self.hub.repositories[dataset].lfs.add(sha256)
        return Answer(200, b"", {"ETag": f'"{sha256}"'})

    def _commit(self, repository: Repository, dataset: str, branch: str, body: bytes) -> Answer:
        from .hub import as_json, error

        if branch not in repository.refs:
            return error(404, "RevisionNotFound", f"Invalid rev id: {branch}")
        head = repository.refs[branch]
        lines = [json.loads(line) for line in body.splitlines()]
        header = lines[0]["value"]
        if header.get("parentCommit", head) != head:
            return error(412, "", "The branch has moved: a commit has happened since")
        files = dict(repository.commits[head])
        for line in lines[1:]:
            kind, value = line["key"], line["value"]
            if kind == "deletedFile":
                files.pop(value["path"], None)
            elif kind == "deletedFolder":
                files = {
                    name: file for name, file in files.items() if not name.startswith(value["path"].rstrip("/") + "/")
                }
            elif kind == "file":
                files[value["path"]] = self.hub.store.file(base64.b64decode(value["content"]), False)
            elif value["oid"] not in repository.lfs:
                return error(400, "", f"LFS object {value['oid']} was not uploaded")
            else:
                oid = git_id(pointer(value["oid"], value["size"]))
                files[value["path"]] = File(
                    value["oid"], value["size"], oid, True, self.hub.xet.digests.get(value["oid"], "")
                )
        commit = repository.commit(files, header["summary"], branch=branch)
        return as_json({"commitUrl": f"{self.hub.url}/datasets/{dataset}/commit/{commit}", "commitOid": commit})

    def _tag(self, repository: Repository, revision: str, tag: str) -> Answer:
        from .hub import as_json, error

        if tag in repository.tags:
            return error(409, "", f"Tag {tag} exists already")
        commit = repository.resolved(revision)
        if commit is None:
            return error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        repository.tags[tag] = commit
        return as_json({"tag": tag})


def _known(file: File | None) -> str | None:
    if file is None:
        return None
    return file.sha256 if file.lfs else file.oid
