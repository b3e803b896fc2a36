"""Copies of images, altered or not: fingerprints propose, aligned pixels decide."""
