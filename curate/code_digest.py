"""A digest of medmix's own code, to invalidate results that other code has stored."""

import hashlib
from functools import cache
from pathlib import Path


@cache
def code_digest(*paths: str) -> str:
    """Digest Python files of `curate/` and give 64 hex digits.

    Args:
        paths: files and folders, relative to `curate/`; "." is all of it.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted((here / path).rglob("*.py")) if (here / path).is_dir() else [here / path]:
            digest.update(f"{file.relative_to(here).as_posix()}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()
