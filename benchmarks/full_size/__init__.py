"""Generated upstream trees of all sources of v1, and measurements of a build from them, for `benchmarks/full.py`."""
