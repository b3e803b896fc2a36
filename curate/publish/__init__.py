"""Publishing: a finished mix comes in; what may leave the machine goes to the Hub, and a mix comes back from there.

The wing trusts no earlier stage: its gate reads again what it sends. It changes no record.
"""

__all__ = (
    "diff",
    "hub_mix",
    "planner",
    "pointers",
    "push",
    "rehydrate",
    "retries",
    "snapshot",
    "versions",
)
