"""Runs: batches and a model come in; a log and checkpoints go out, and a stopped run goes on from the last of them.

The wing knows nothing of what a model is worth: it trains, and writes down how.
"""

__all__ = ("checkpoint", "loop", "model_card", "optim", "ranks")
