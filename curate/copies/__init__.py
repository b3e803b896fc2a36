"""Copies of images, altered or not: fingerprints propose, aligned pixels decide."""

import cv2

cv2.setNumThreads(1)  # builds run one process a core, and pictures here are too small to share
