"""Evaluation sets that are no source: folders, files and mixes come in, what they share with others goes out.

The wing knows how a set is fingerprinted and found; whether a leak drops a record is decided in `decide`.
"""

__all__ = ("coverage", "fingerprint_file", "leakreport", "sets")
