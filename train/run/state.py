"""The state of a run at a checkpoint, stored in `checkpoint.json`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainerState:
    """The content of `checkpoint.json`.

    Attributes:
        step: optimiser steps done.
        records: training records seen, over all epochs.
        mix, mix_digest: the mix's folder, and `stream.mix_digest` of it.
        sources: records per epoch of each source.
        versions: of medmix and the libraries that made the checkpoint.
    """

    step: int
    records: int
    mix: str
    mix_digest: str
    sources: dict[str, int]
    versions: dict[str, str]
