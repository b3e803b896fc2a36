"""The state of a run at a checkpoint, as `checkpoint.json` has it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class State:
    """What `checkpoint.json` says.

    Attributes:
        step: optimiser steps done.
        records: training records seen, over all epochs.
        mix, mix_digest: the folder trained on, and `stream.digest` of it.
        sources: records that an epoch takes of each source.
        versions: of medmix and the libraries that made the checkpoint.
    """

    step: int
    records: int
    mix: str
    mix_digest: str
    sources: dict[str, int]
    versions: dict[str, str]
