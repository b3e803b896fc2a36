"""How well a detached vision encoder transfers to labelled sets: one recipe for all encoders, sets split by unit."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .suite import DEFAULT_SETS, evaluate, table

__all__ = ["DEFAULT_SETS", "evaluate", "table"]


def __getattr__(name: str) -> Any:
    """Load the suite when it is asked for: worker processes that decode images need no torch."""
    if name in __all__:
        from . import suite

        return getattr(suite, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
