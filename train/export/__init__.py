"""Export: turns a checkpoint into a folder that transformers loads without medmix.

It trains nothing and changes no weight.
"""

__all__ = ("image_text", "llava")
