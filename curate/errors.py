"""The exceptions of medmix, one class for each reaction.

MedmixError
|-- UsageError       the command, a YAML file or an input cannot be used: one line, exit 2
|   `-- InputError   an upstream file cannot be used: names file, row and remedy
|-- WorkError        the work failed (disk full, a worker died): one line, exit 1
`-- RowError         one upstream row cannot be used: it is recorded in the ledger, work continues
"""

from pathlib import Path


class MedmixError(Exception):
    """An expected failure; its text is one line for the user and `exit_code` what the command returns."""

    exit_code = 1


class UsageError(MedmixError):
    """Wrong usage or unusable configuration; raised before work starts."""

    exit_code = 2


class InputError(UsageError):
    """An upstream file is unusable as a whole; the message names the file, the row and the remedy."""

    def __init__(self, path: Path | str, problem: str, remedy: str, row: int | None = None) -> None:
        where = f"{path}, row {row}" if row is not None else f"{path}"
        super().__init__(f"{where}: {problem}; {remedy}")
        self.arguments = (path, problem, remedy, row)

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Pickle by the arguments, so that a worker process can raise it."""
        return type(self), self.arguments


class WorkError(MedmixError):
    """The work itself failed; finished parts are kept, and the same command continues."""


class RowError(MedmixError):
    """One row cannot be used; `reason` is one of `record.REASONS`."""

    def __init__(self, reason: str, evidence: str) -> None:
        super().__init__(f"{reason}: {evidence}")
        self.reason = reason
        self.evidence = evidence

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """Pickle by the arguments, so that a worker process can raise it."""
        return type(self), (self.reason, self.evidence)
