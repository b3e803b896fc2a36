"""Copies of images: pixels come in; fingerprints propose pairs, aligned pixels confirm them, clusters go out.

The wing knows arrays and numbers, neither files nor records.
"""

import cv2

__all__ = ("clusters", "confirm", "fingerprints", "grey", "neighbours", "sketch")

cv2.setNumThreads(1)  # builds run one process a core, and pictures here are too small to share
