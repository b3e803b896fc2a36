"""The inputs of a build: the sources of a mixture found under the root, each in one layout."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .. import facts
from ..config import nearest
from ..errors import UsageError
from ..mixture import Mixture
from ..sources import Shard, layouts
from . import dicom, download_record, refused_copies, shard_numbers


@dataclass(frozen=True, slots=True)
class Input:
    """A source as found on disk.

    Attributes:
        source: its id; `folder` its folder; `facts` the facts about it.
        layout: the layout that is read; `shards` its pieces in reading order.
        unread: names of other layouts in the folder: copies of the same rows, not read.
        missing_shards: numbered files that are missing, as the names of the others show.
    """

    source: str
    folder: Path
    facts: facts.Facts
    layout: str
    shards: tuple[Shard, ...]
    unread: tuple[str, ...]
    missing_shards: tuple[str, ...] = ()


def find(
    mixture: Mixture,
    root: Path,
    only: Sequence[str] = (),
    allow_missing: Sequence[str] = (),
    allow_lost: Sequence[str] = (),
    may_omit: bool = True,
) -> tuple[list[Input], list[str]]:
    """Find the mixture's sources under `root`; give them in the mixture's order, and the ids of missing ones.

    Args:
        mixture: the mixture.
        root: the folder of all sources.
        only: the sources to look for; empty for all.
        allow_missing: sources that may be absent.
        allow_lost: sources of which numbered files may be absent.
        may_omit: whether the command has options to go on without what is missing, which a message then names.

    Raises:
        UsageError: a required source or file is missing, a name is unknown, or a folder holds no known layout, an
            unfinished download or a copy that must not be used; all problems in one line.
    """
    problems = [
        f"{option} {name!r} is not in mixture {mixture.name}{nearest(name, list(mixture.sources))}"
        for option, chosen in (("--only", only), ("--allow-missing", allow_missing), ("--allow-lost", allow_lost))
        for name in chosen
        if name not in mixture.sources
    ]
    if not root.is_dir():
        problems.append(f"{root} is not a folder; give the folder that holds one folder per source with --root")
    if refused := refused_copies.reason_by_folder(root):
        problems.append(refused)
    if problems:
        raise UsageError("; ".join(problems))
    wanted = [source for source in mixture.sources if not only or source in only]
    found, missing, unreadable = [], [], []
    for source in wanted:
        folder = root / source
        if not folder.exists() or not layouts(source):
            missing.append(source)
            continue
        if refused := refused_copies.reason_by_folder(folder, source):
            unreadable.append(refused)
            continue
        choice = _choose_layout(mixture, source, folder)
        if isinstance(choice, Input):
            found.append(choice)
            if choice.missing_shards and source not in allow_lost:
                unreadable.append(_missing_shards_message(choice, may_omit))
        elif source in allow_missing:
            missing.append(source)
        else:
            unreadable.append(choice)
    lacking = [source for source in missing if source not in allow_missing]
    if lacking:
        unreadable.append(_missing_message(lacking, root, may_omit))
    if unreadable:
        raise UsageError("; ".join(unreadable))
    if not found:
        raise UsageError(f"none of {', '.join(wanted)} found under {root}: there is nothing to build")
    return found, missing


def _choose_layout(mixture: Mixture, source: str, folder: Path) -> Input | str:
    """Give the input in the layout to read, or a line with the reason why there is none."""
    asked = mixture.sources[source].layout
    known = layouts(source)
    if asked is not None and asked not in [layout.name for layout in known]:
        names = [layout.name for layout in known]
        return f"{mixture.name}.yaml: sources.{source}.layout: no layout {asked!r}{nearest(asked, names)}"
    if download_record.is_unfinished(folder):
        return f"{folder}: {download_record.resume_hint(folder)}"
    found = [(layout, layout.shards(folder)) for layout in known]
    present = [(layout, shards) for layout, shards in found if shards]
    picked = [(layout, shards) for layout, shards in present if asked in (None, layout.name)]
    if not picked:
        expected = " or ".join(f"{layout.expects} ({layout.name})" for layout in known if asked in (None, layout.name))
        return f"{folder}: no files of {source} found; expected {expected}"
    layout, shards = picked[0]
    if layout.images == "dicom":
        dicom.require_pydicom()
    unread = tuple(other.name for other, _ in present if other is not layout)
    missing = tuple(shard_numbers.missing_from(folder, {file for shard in shards for file in shard.files}))
    return Input(source, folder, _facts(source, folder, layout.name), layout.name, tuple(shards), unread, missing)


def _missing_shards_message(entry: Input, may_omit: bool) -> str:
    first, rest = entry.missing_shards[0], len(entry.missing_shards) - 1
    more = f" and {rest} more" if rest else ""
    option = f", or build without its rows: --allow-lost {entry.source}" if may_omit else ""
    return f"{entry.folder}: {first}{more} of a numbered set is missing; fetch it again{option}"


def _facts(source: str, folder: Path, layout: str) -> facts.Facts:
    """Give the facts, with the revision that the record of the download names, if any."""
    entry = facts.load(source)
    place = entry.upstream.get(layout)
    fetched = download_record.read_record(folder)
    if fetched is None or place is None or fetched.dataset != place.dataset:
        return entry
    return replace(entry, upstream={**entry.upstream, layout: replace(place, revision=fetched.commit)})


def _missing_message(sources: Sequence[str], root: Path, may_omit: bool) -> str:
    unwritten = [source for source in sources if not layouts(source)]
    absent = [source for source in sources if source not in unwritten]
    lines = []
    if absent:
        lines.append(
            f"no folder under {root} for {', '.join(absent)} (medmix fetch downloads them, or prints manual steps)"
        )
    if unwritten:
        lines.append(f"no reader in this version for {', '.join(unwritten)}")
    option = f"; to build without: --allow-missing {','.join(sources)}" if may_omit else ""
    return f"{' and '.join(lines)}{option}"
