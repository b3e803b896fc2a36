"""Comparison: results of several models come in; tables beside controls and published numbers go out.

The wing scores nothing anew: it checks scores against the predictions beside them.
"""

__all__ = (
    "rendering",
    "results",
    "sample_scores",
)
