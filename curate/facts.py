"""What is known of each source: where it comes from, what it holds, its licence and its faults.

Loads `recipes/sources/*.yaml`; nothing about a source is known anywhere else.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from .config import nearest, parse, read_yaml, yaml_names, yaml_path
from .errors import UsageError
from .licences import statements
from .licences.statements import Licence

UNSPLIT = "unsplit"
"""Stands in `Upstream.splits` for rows that name no split."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where one layout of a source comes from.

    Attributes:
        dataset: id or place, `BoKelvin/SLAKE` or `OSF 89kps`.
        revision: commit, version or date that fixes the content; None where none is known.
        note: what to know before fetching it, or "".
        files: patterns of the files that the reader wants, for a layout that `medmix fetch` may download from
            the Hub; empty for the others.
        splits: sizes of the splits where they are not those of the source; `unsplit` for rows that name none.
    """

    dataset: str
    revision: str | None
    note: str = ""
    files: tuple[str, ...] = ()
    splits: dict[str, int | None] | None = None


@dataclass(frozen=True, slots=True)
class RefusedCopy:
    """A copy on the Hub that must not be used.

    Attributes:
        dataset: its id.
        reason: why not, as the end of a sentence that begins with the id.
    """

    dataset: str
    reason: str


@dataclass(frozen=True, slots=True)
class Background:
    """What upstream's own pages, papers and files say of a source for its datasheet; "" where they do not say.

    Attributes:
        purpose: what it was made for.
        instances: what one row is.
        acquisition: where images and texts were taken from.
        labels: what is to be answered, and where the answers come from.
        preprocessing: what upstream did to the data.
        people: how people in it are protected.
        uses: what it has been used for.
        maintenance: who keeps it, and its editions.
    """

    purpose: str = ""
    instances: str = ""
    acquisition: str = ""
    labels: str = ""
    preprocessing: str = ""
    people: str = ""
    uses: str = ""
    maintenance: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one source.

    Attributes:
        id: the file's stem.
        modality: what the images show, lower case; for records whose row does not say.
        task: one of `record.TASKS`.
        samples: how many upstream has: questions, captions or studies, as `task` has it.
        languages: ISO 639-1 codes; the first is that of rows that declare none.
        access: what a download asks for.
        upstream: by the reader's name of the layout; the first one counts for unknown layouts.
        group: what records are kept together by, and why.
        splits: upstream's splits and their sizes; None where the size is not known, empty without splits.
        faults: known faults of upstream, one each.
        unverified: what is said of the source, but was not seen in its own files or pages, one each.
        attribution: whom to credit, in one line.
        citation: BibTeX.
        background: what upstream says of how and why it was made.
        steps: what to do by hand to get it, in order, `{folder}` standing for the source's folder; with a
            layout that can be fetched, what completes that.
        refused: copies that must not be used.
        article_licences: rows without a licence of their own have that of their PubMed Central article.
    """

    id: str
    title: str
    modality: str
    task: Literal["caption", "report", "vqa", "mcqa", "qa"]
    samples: int
    languages: tuple[str, ...]
    access: Literal["open", "click-through", "credentialed"]
    upstream: dict[str, Upstream]
    licence: Licence
    group: str
    splits: dict[str, int | None]
    faults: tuple[str, ...]
    unverified: tuple[str, ...]
    attribution: str
    citation: str
    background: Background = Background()
    steps: tuple[str, ...] = ()
    refused: tuple[RefusedCopy, ...] = ()
    article_licences: bool = False

    def provenance(self, layout: str) -> dict[str, str]:
        """Give `dataset` and `revision` of a layout, as every record of it bears them; "" for no revision."""
        place = self.upstream.get(layout) or next(iter(self.upstream.values()))
        return {"dataset": place.dataset, "revision": place.revision or ""}

    def expected(self, layout: str) -> dict[str, int]:
        """Give the known sizes of the splits as a layout has them; "" for rows that name no split."""
        place = self.upstream.get(layout)
        sizes = self.splits if place is None or place.splits is None else place.splits
        return {"" if split == UNSPLIT else split: size for split, size in sizes.items() if size is not None}

    def fetched_layout(self) -> str | None:
        """Name the layout that `medmix fetch` downloads, if there is one."""
        return next((layout for layout, place in self.upstream.items() if place.files), None)

    def summary(self) -> dict[str, Any]:
        """Give what `medmix sources` shows, as plain data."""
        return {
            "id": self.id,
            "title": self.title,
            "modality": self.modality,
            "task": self.task,
            "samples": self.samples,
            "licence": self.licence.id,
            "verdict": self.licence.verdict,
            "access": self.access,
            "upstream": {layout: self.provenance(layout) for layout in self.upstream},
            "languages": list(self.languages),
            "group": self.group,
            "splits": dict(self.splits),
            "faults": list(self.faults),
        }


@cache
def source_ids() -> tuple[str, ...]:
    """List the ids of all sources, sorted."""
    return tuple(yaml_names("recipes/sources"))


def load(source: str) -> Facts:
    """Load the facts of a source; every call gives mappings of its own, so that no caller changes another's.

    Raises:
        UsageError: there is no such source, or its file has problems; all of them are named at once.
    """
    known = source_ids()
    if source not in known:
        raise UsageError(f"source {source!r} is unknown{nearest(source, known)}; there are {', '.join(known)}")
    entry = _load(source)
    upstream = {
        layout: replace(place, splits=place.splits and dict(place.splits)) for layout, place in entry.upstream.items()
    }
    licence = replace(entry.licence, members=dict(entry.licence.members))
    return replace(entry, upstream=upstream, licence=licence, splits=dict(entry.splits))


@cache
def _load(source: str) -> Facts:
    return parse_file(yaml_path("recipes/sources", source))


def parse_file(path: Path) -> Facts:
    """Read the facts of one source from a YAML file.

    Raises:
        UsageError: the file cannot be read or has problems; all of them are named at once.
    """
    facts = parse(Facts, read_yaml(path), path.name)
    problems = _problems(facts, path.stem)
    if problems:
        raise UsageError("; ".join(f"{path.name}: {problem}" for problem in problems))
    return facts


def _problems(facts: Facts, stem: str) -> list[str]:
    problems = []
    if facts.id != stem:
        problems.append(f"id: is {facts.id!r}, but the file is called {stem!r}; make them equal")
    if facts.samples < 1:
        problems.append("samples: must be 1 or more")
    if not facts.languages:
        problems.append("languages: names none")
    if not facts.upstream:
        problems.append("upstream: names no layout")
    if (facts.access == "credentialed") != (facts.licence.verdict == "credentialed"):
        problems.append(f"licence.effective.verdict: is {facts.licence.verdict}, but access is {facts.access}")
    if facts.access == "credentialed" and facts.fetched_layout() is not None:
        problems.append("upstream: a credentialed source is fetched by hand; take out `files`")
    return problems + statements.problems(facts.licence)
