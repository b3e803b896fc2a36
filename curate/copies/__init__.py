"""Copies of images: pixels come in; pairs of candidates, confirmed copies and clusters of them go out.

Fingerprints find candidates, pixel alignment confirms them. The wing knows arrays, but neither files nor records.
"""

__all__ = ("clusters", "colour_maps", "confirm", "fingerprints", "grey", "neighbours", "sketch")
