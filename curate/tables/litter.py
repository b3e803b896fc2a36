"""Files that operating systems leave in folders and archives."""

_FOLDER = "__macosx"
_FILES = (".ds_store", "thumbs.db", "desktop.ini")
_APPLE_DOUBLE = "._"
"""Beside `a.jpg`, macOS keeps its attributes as `._a.jpg`: https://www.rfc-editor.org/rfc/rfc1740"""


def is_litter(name: str) -> bool:
    """Tell whether a path, relative to a source's folder or in an archive, is not upstream's but a system's."""
    parts = name.replace("\\", "/").rstrip("/").lower().split("/")
    return parts[-1].startswith(_APPLE_DOUBLE) or parts[-1] in _FILES or _FOLDER in parts
