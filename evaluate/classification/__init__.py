"""Classification: takes an encoder and labelled datasets; returns scores of its transfer.

All encoders have one recipe, and datasets are split by patient, slide or lesion. It is independent of answers.
"""

__all__ = ("datasets", "prepare", "recipe", "scores", "suite")
