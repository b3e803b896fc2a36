"""The files of a mix of which a release is made, compared with the digests in its manifest.

The small tables come first, before the Hub is asked for anything: a changed ledger stops a push at once.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import WorkError
from ..progress import stage
from ..shards import file_sha256
from ..write import manifest_document

SHARDS = ("data",)
TABLES = ("pointers", "ledger.parquet", "records.parquet", "evaluation.parquet")
"""First parts of the names of these files; all others are written anew from them."""


def require_tables(mix: Path) -> None:
    """Compare the tables beside the shards; a folder without a manifest that can be read is left to its readers.

    Raises:
        WorkError: as `require`.
    """
    try:
        document = manifest_document.parse((mix / "manifest.json").read_bytes())
    except (OSError, manifest_document.NotAManifest):
        return
    if manifest_document.find_fault(document) is None:
        require(mix, document.get("files", {}), TABLES)


def require(mix: Path, files: Mapping[str, Mapping[str, Any]], kinds: tuple[str, ...]) -> None:
    """Compare the files whose names begin with one of `kinds` with the manifest's `files`.

    Raises:
        WorkError: one is missing, or has other bytes than those that the build wrote.
    """
    names = [name for name in files if name.split("/")[0] in kinds]
    with stage("comparing the mix with its manifest"):
        for name in names:
            if not (mix / name).is_file():
                raise WorkError(f"{mix / name}: is missing, nothing was uploaded; build the mix again")
            if file_sha256(mix / name) != files[name].get("sha256"):
                raise WorkError(f"{mix / name}: its bytes differ from those that the build wrote; build the mix again")
