"""Classification: an encoder and labelled sets come in; scores go out that say how well it transfers.

One recipe serves all encoders, and sets are split by patient, slide or lesion. The wing knows nothing of answers.
"""

__all__ = (
    "datasets",
    "prepare",
    "recipe",
    "scores",
    "suite",
)
