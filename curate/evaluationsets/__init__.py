"""Evaluation sets that are no source: reads folders, fingerprint files and mixes, reports what they share with others.

The wing fingerprints evaluation sets and finds their items; whether a leak drops a record is decided in `decide`.
"""

__all__ = ("coverage", "external_sets", "fingerprint_file", "item_keys", "leak_report")
