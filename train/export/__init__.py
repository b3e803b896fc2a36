"""Export: turns a checkpoint into a folder that transformers loads without medmix.

It trains nothing and changes no weight, and what it writes it compares with what was trained.
"""

__all__ = ("folder", "image_text")
