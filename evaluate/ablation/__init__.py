"""Ablation: takes a mix and a recipe; returns what each source of the mix contributes, as paired differences.

Models are trained without a source and on it alone, and scored by one suite of `medmix eval`.
"""

__all__ = ("runs", "scoring")
