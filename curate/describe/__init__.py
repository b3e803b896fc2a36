"""Describing: a manifest and its shards come in; cards, datasheets, plots, reports and Croissant go out.

Every number and statement is taken from there. The wing reads no upstream file for a card and decides nothing.
"""

__all__ = ("attribution", "cards", "croissant", "licence_report", "report", "statistics")
