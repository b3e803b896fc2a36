"""Publishing: the wing uploads the redistributable part of a finished mix to the Hub, and rebuilds a full mix from it.

The wing trusts no earlier stage: its gate reads every file again before an upload. It changes no record.
"""

__all__ = (
    "diff",
    "hub_mix",
    "hub_user",
    "options",
    "planner",
    "pointers",
    "push",
    "record_digests",
    "record_tables",
    "rehydrate",
    "retries",
    "snapshot",
    "unchanged",
    "versions",
)
