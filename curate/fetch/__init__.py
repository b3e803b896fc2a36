"""Fetching: source names come in; their files are in place when it is done. The only way in from the network.

The wing knows which files may be downloaded and which have arrived (`read.download_record`). It does not parse them.
"""

__all__ = ("contents", "downloads", "hub")
