"""Answers: a checkpoint and questions come in; answers, scores with intervals and controls go out.

What is right reaches the scores and never a prompt. The wing knows no other model's results.
"""

__all__ = (
    "benchmarks",
    "leaks",
    "loading",
    "mix_split",
    "predictions",
    "suite",
)
