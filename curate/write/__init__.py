"""Pass 3: decisions come in; parquet, the ledger and the manifest of a mix go out, in place or not at all.

The wing knows what was decided and not why. Nothing else writes records.
"""

__all__ = ("chat", "features", "ledger", "manifest", "materialise", "stored", "workplace")
