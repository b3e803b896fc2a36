"""Pass 1: records come in; measurements go out: clean text, language, digests, fingerprints, text keys.

A scan stores them beside the record. The wing knows no mixture and decides nothing, so thresholds can change
without decoding an image again.
"""

__all__ = (
    "empty_text",
    "images",
    "minhash",
    "report_sections",
    "scans",
    "shingles",
    "text",
    "text_keys",
    "text_similarity",
    "third_party",
)
