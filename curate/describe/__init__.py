"""Render cards, datasheets, plots, reports and Croissant metadata from the manifest and the shards of a mix.

Every number and statement comes from there. The wing reads no upstream files. It decides nothing.
"""

__all__ = (
    "attribution",
    "card_metadata",
    "cards",
    "croissant",
    "licence_report",
    "markup",
    "report",
    "statistics",
    "templates",
    "thumbnails",
)
