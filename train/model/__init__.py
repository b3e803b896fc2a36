"""The model: builds a vision-language model from a recipe and weights; its forward pass gives the loss of a batch.

It knows batches, but neither optimiser nor checkpoints.
"""

__all__ = ("image_text", "kinds", "language", "layouts", "towers", "vision_language", "weights", "weights_config")
