"""Pass 2: reads the scans as one table and decides for each record: kept, or dropped by which stage and why.

`stages` has the order of the stages. The only files written here are cached comparisons of images.
"""

__all__ = (
    "candidates",
    "caps",
    "comparisons",
    "contradictions",
    "copy_rule",
    "copy_search",
    "leaks",
    "overlap",
    "policy",
    "scan_images",
    "scan_texts",
    "stages",
)
