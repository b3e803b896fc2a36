"""Model: a recipe and weights come in, a vision-language model goes out whose loss a batch gives.

The wing knows batches, but neither optimiser nor checkpoints.
"""

__all__ = ("language", "vision_language", "weights")
