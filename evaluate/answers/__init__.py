"""Answers: takes a checkpoint and questions; returns answers, scores with intervals, and controls.

Prompts never contain the gold answer. The package knows no results of other models.
"""

__all__ = ("benchmarks", "leaks", "loading", "mix_split", "suite")
