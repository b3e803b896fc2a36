"""Export: a checkpoint comes in; a folder goes out that transformers loads without medmix.

The wing trains nothing and changes no weight.
"""

__all__ = ("llava",)
