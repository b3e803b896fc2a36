"""Pass 3: turn decisions into the parquet files, the ledger and the manifest of a mix, each written atomically.

The wing applies decisions and does not know their reasons. No other code writes records.
"""

__all__ = (
    "bare_images",
    "chat",
    "digests",
    "features",
    "finished_shards",
    "image_encoding",
    "ledger",
    "manifest",
    "manifest_document",
    "materialise",
    "record_facts",
    "workplace",
)
