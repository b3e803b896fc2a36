"""Ablation: a mix and a recipe come in; what each source of the mix contributes goes out, as paired differences.

Models are trained without a source and on it alone, and scored by one suite; how is not this wing's business.
"""

__all__ = ("runs", "scoring")
