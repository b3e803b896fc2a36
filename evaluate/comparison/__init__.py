"""Comparison: takes results of several models; returns tables with controls and published numbers.

It computes no new scores: it checks scores against the predictions next to them.
"""

__all__ = ("rendering", "results", "sample_scores")
