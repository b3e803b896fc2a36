"""Pass 1: records come in, what is true of each goes out: clean text, language, digests, fingerprints, keys.

A scan stores that beside the record. The wing knows no mixture and decides nothing, so that thresholds can change
without an image being decoded again.
"""

__all__ = ("images", "minhash", "reports", "sametext", "scans", "shingles", "text", "textkeys", "third_party")
