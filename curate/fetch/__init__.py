"""Fetching: names of sources come in, their files lie in a folder when it is done; the only way in from the network.

The wing knows what may be downloaded and what has arrived (`read.presence`). It does not look into files.
"""

__all__ = ("downloads", "hub")
