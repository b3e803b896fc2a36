"""A digest of medmix's own code: what other code has stored may no longer be true."""

import hashlib
from functools import cache
from pathlib import Path


@cache
def code_digest(*rooms: str) -> str:
    """Digest the Python files of some rooms and give 64 hex digits.

    Args:
        rooms: files and folders of `curate/`, relative to it; "." is all of it.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for room in rooms:
        for file in sorted((here / room).rglob("*.py")) if (here / room).is_dir() else [here / room]:
            digest.update(f"{file.relative_to(here).as_posix()}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()
