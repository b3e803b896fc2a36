"""Copies of images: pixels come in; pairs of candidates, confirmed copies and clusters of them go out.

Fingerprints find candidates, pixel alignment confirms them. The wing knows arrays, but neither records nor
the files that images are in.
"""

__all__ = ("clusters", "colour_maps", "confirm", "fingerprints", "grey", "mapped", "neighbours", "sketch")
