"""Scores of several models beside each other, beside their controls, and beside what papers have published."""
