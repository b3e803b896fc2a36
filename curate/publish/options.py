"""The options of a push: where it goes, and what the user has agreed to."""

import re
from dataclasses import dataclass

from ..errors import UsageError

MAIN = "main"
"""The branch that everybody reads, and the only one whose commits get a version's tag."""

PULL_REQUEST_REVISION = re.compile(r"refs/pr/\d+")
_VERSION_TAG = re.compile(r"v\d+\.\d+\.\d+")
_BRANCH = re.compile(r"(?!.*(\.\.|//|\.lock$|[./]$))[A-Za-z0-9][A-Za-z0-9._/-]*")


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the command.

    Attributes:
        public: make the dataset public.
        dry_run: plan even without a response from the Hub.
        yes: overwrite a card that is not of a mix.
        message: of the commit; "" for name and tag of the mixture.
        pull_request: propose the files in a pull request.
        revision: the branch to commit to, or an open pull request (`refs/pr/1`).
        workers: processes that read the files before the upload.
    """

    public: bool = False
    dry_run: bool = False
    yes: bool = False
    message: str = ""
    pull_request: bool = False
    revision: str = MAIN
    workers: int = 1

    @property
    def is_draft(self) -> bool:
        """Whether main, and with it the version's tag, is left alone."""
        return self.pull_request or self.revision != MAIN

    def validate(self) -> None:
        """Check that the options agree.

        Raises:
            UsageError: two options contradict each other, or the revision is no branch.
        """
        if self.pull_request and self.revision != MAIN:
            raise UsageError("give --pr or --revision, not both: a pull request is always one for main")
        if self.pull_request and self.public:
            raise UsageError("give --pr or --public, not both: a pull request changes no settings")
        if PULL_REQUEST_REVISION.fullmatch(self.revision):
            return
        if not _BRANCH.fullmatch(self.revision):
            raise UsageError(f"--revision {self.revision!r} is not the name of a branch")
        if _VERSION_TAG.fullmatch(self.revision):
            raise UsageError(f"--revision {self.revision} is the name of a version's tag; choose another branch")
