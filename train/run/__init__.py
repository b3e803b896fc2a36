"""Training runs: trains a model on batches and writes a log and checkpoints; resumes a stopped run from the last one.

It does not evaluate models.
"""

__all__ = ("checkpoint", "image_text_checkpoint", "loop", "metrics_logger", "model_card", "optim", "ranks", "state")
