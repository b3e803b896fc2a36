"""Pass 2: scans come in as one table; out goes what becomes of every record, by which stage, why and on which evidence.

`stages` has the order. The wing writes nothing but comparisons of images, which it keeps from run to run.
"""

__all__ = (
    "candidates",
    "caps",
    "comparisons",
    "contradictions",
    "imagecopies",
    "leaks",
    "overlap",
    "pictures",
    "policy",
    "scantexts",
    "splits",
    "stages",
)
