"""How well a detached vision encoder transfers to labelled sets: one recipe for all encoders, sets split by unit."""

from .suite import DEFAULT_SETS, evaluate, table

__all__ = ["DEFAULT_SETS", "evaluate", "table"]
