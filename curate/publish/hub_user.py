"""Who pushes, and whether the Hub lets them write to a dataset: asked before anything is prepared or uploaded."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from huggingface_hub import HfApi, constants, get_token

from ..errors import UsageError
from ..mixtures import is_repo
from . import hub_errors
from .retries import HubRefusal, call_with_retries

WRITING_ROLES = ("admin", "write", "contributor")
"""Roles in an organisation that may create a dataset there."""


@dataclass(frozen=True, slots=True)
class User:
    """The owner of the token, and the names under which they may write."""

    name: str
    namespaces: tuple[str, ...]


def validate_name(repo: str) -> None:
    """Check the form of a dataset's name.

    Raises:
        UsageError: it is not OWNER/NAME.
    """
    if not is_repo(repo):
        raise UsageError(f"--repo {repo!r} is not the OWNER/NAME of a dataset on the Hub")


def load_user() -> User:
    """Check that the token may write, and give its user.

    Raises:
        HubRefusal: the token is missing, malformed, rejected or read-only.
    """
    token = get_token()
    if token is None:
        raise _refusal(f"token: not found; {hub_errors.LOG_IN}")
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise _refusal(f"token: contains characters that no token has; {hub_errors.LOG_IN} again")
    answer = call_with_retries("token", lambda: HfApi(endpoint=constants.ENDPOINT).whoami())
    access = (answer.get("auth") or {}).get("accessToken") or {}
    name = str(answer["name"])
    if access.get("role") == "read":
        raise _refusal(f"token: belongs to {name} and is read-only; {hub_errors.LOG_IN} with one that may write")
    return User(name, (name, *_organisations(answer), *_scopes(access)))


def _organisations(answer: Mapping[str, Any]) -> list[str]:
    return [
        str(one["name"])
        for one in answer.get("orgs") or ()
        if "name" in one and one.get("roleInOrg", "write") in WRITING_ROLES
    ]


def _scopes(access: Mapping[str, Any]) -> list[str]:
    """Give the users and organisations to which a fine-grained token is limited."""
    scoped = (access.get("fineGrained") or {}).get("scoped") or ()
    return [str(one["entity"]["name"]).split("/")[0] for one in scoped if "name" in (one.get("entity") or {})]


def validate_namespace(user: User, repo: str) -> None:
    """Check that the user may write to the owner's datasets.

    Raises:
        HubRefusal: the owner is neither the user nor an organisation in which they may write.
    """
    owner = repo.split("/")[0]
    if owner.casefold() not in {name.casefold() for name in user.namespaces}:
        others = ", ".join(dict.fromkeys(user.namespaces))
        raise _refusal(
            f"{repo}: {user.name} may not write to {owner}; use --repo with one of {others}, "
            "or propose it to the owner with --pr"
        )


def authorize(repo: str, is_proposal: bool) -> User:
    """Give the user of the token, after the checks of `load_user` and, unless they only propose, of the owner.

    Raises:
        HubRefusal: a check failed.
    """
    user = load_user()
    if not is_proposal:
        validate_namespace(user, repo)
    return user


def _refusal(line: str) -> HubRefusal:
    return HubRefusal(line, hub_errors.HubFailure(line, is_transient=False))
