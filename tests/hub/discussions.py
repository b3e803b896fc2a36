"""Pull requests of a dataset on the Hub: a draft is opened, gets commits under `refs/pr/N`, and becomes open."""

from typing import TYPE_CHECKING, Any

from .server import Answer
from .store import Repository

if TYPE_CHECKING:
    from .hub import Hub

MOMENT = "2026-11-20T10:00:00.000Z"


class Discussions:
    def __init__(self, hub: "Hub") -> None:
        self.hub = hub

    def read(self, dataset: str, number: str | None) -> Answer:
        from .hub import as_json, error

        repository = self.hub.repositories.get(dataset)
        if repository is None:
            return error(404, "RepoNotFound", "Repository not found")
        if number is not None:
            return as_json(self._facts(repository, dataset, int(number)))
        found = [self._facts(repository, dataset, place + 1) for place in range(len(repository.proposals))]
        return as_json({"discussions": found, "count": len(found), "start": 0})

    def write(
        self, repository: Repository, dataset: str, user: str, rest: str | None, wanted: dict[str, Any]
    ) -> Answer:
        from .hub import as_json

        if rest is None:
            repository.proposals.append({"title": wanted["title"], "author": user, "status": "draft"})
            number = len(repository.proposals)
            repository.refs[f"refs/pr/{number}"] = repository.main
            return as_json({"num": number, "url": f"{self.hub.url}/datasets/{dataset}/discussions/{number}"})
        number = int(rest.split("/")[0])
        repository.proposals[number - 1]["status"] = wanted["status"]
        event = {"id": "1", "type": "status-change", "createdAt": MOMENT, "author": {"name": user}}
        return as_json({"newStatus": {**event, "data": {"status": wanted["status"]}}})

    def merge(self, dataset: str, number: int) -> None:
        """Make the files of a pull request those of main, as one commit."""
        repository = self.hub.repositories[dataset]
        proposal = repository.proposals[number - 1]
        repository.commit(repository.commits[repository.refs[f"refs/pr/{number}"]], proposal["title"])
        proposal["status"] = "merged"

    def _facts(self, repository: Repository, dataset: str, number: int) -> dict[str, Any]:
        proposal = repository.proposals[number - 1]
        return {
            "num": number,
            "title": proposal["title"],
            "status": proposal["status"],
            "author": {"name": proposal["author"]},
            "createdAt": MOMENT,
            "isPullRequest": True,
            "repo": {"name": dataset, "type": "dataset"},
            "changes": {"base": "refs/heads/main"},
            "filesWithConflicts": [],
            "events": [],
        }
