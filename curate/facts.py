"""Facts about each source: its origin, contents, licence and known issues.

Loads `recipes/sources/*.yaml`; no other place states anything about a source.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

from .config import nearest, parse, read_yaml, yaml_names, yaml_path
from .errors import UsageError
from .licences import statements
from .licences.statements import Licence

UNSPLIT = "unsplit"
"""The key in `Upstream.splits` of rows that name no split."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """The origin of one layout of a source.

    Attributes:
        dataset: id or place, `BoKelvin/SLAKE` or `OSF 89kps`.
        revision: commit, version or date that fixes the content; None where none is known.
        note: advice before fetching it, or "".
        files: patterns of the files that the reader needs, for a layout that `medmix fetch` may download from
            the Hub; empty for the others.
        splits: sizes of the splits where they differ from the source's; `unsplit` for rows that name none.
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
        reason: why not; completes a sentence that begins with the id.
    """

    dataset: str
    reason: str


@dataclass(frozen=True, slots=True)
class Background:
    """Datasheet answers from upstream's own pages, papers and files; "" where they give none.

    Attributes:
        purpose: why it was made.
        instances: the content of one row.
        acquisition: the origin of images and texts.
        labels: the targets, and where they come from.
        preprocessing: upstream's processing of the data.
        people: how the people in it are protected.
        uses: its uses so far.
        maintenance: who maintains it, and its editions.
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
    """The facts about one source.

    Attributes:
        id: the file's stem.
        modality: of the images, lower case; for records whose row does not name one.
        task: one of `record.TASKS`.
        samples: upstream's number of questions, captions or studies, according to `task`.
        languages: ISO 639-1 codes; the first one is the default for rows that declare none. With a single code, a row
            is taken for another language only where the detection is sure, and one of an evaluation split never.
        access: the requirement for a download.
        upstream: by the reader's name of the layout; the first one is the default for unknown layouts.
        group: the unit that keeps records in one split, and why.
        splits: upstream's splits and their sizes; None where the size is not known, empty without splits.
        known_issues: known issues of upstream, one each.
        unverified: statements about the source that were not seen in its own files or pages, one each.
        attribution: whom to credit, in one line.
        citation: BibTeX.
        background: upstream's own account of how and why it was made.
        steps: manual steps to get it, in order, with `{folder}` for the source's folder; for a layout that can be
            fetched, the steps that complete it.
        refused: copies that must not be used.
        article_licences: rows without a licence of their own have that of their PubMed Central article.
    """

    RENAMED: ClassVar[dict[str, str]] = {"faults": "known_issues"}

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
    known_issues: tuple[str, ...]
    unverified: tuple[str, ...]
    attribution: str
    citation: str
    background: Background = Background()
    steps: tuple[str, ...] = ()
    refused: tuple[RefusedCopy, ...] = ()
    article_licences: bool = False

    def provenance(self, layout: str) -> dict[str, str]:
        """Give `dataset` and `revision` of a layout, as its records state them; "" for no revision."""
        place = self.upstream.get(layout) or next(iter(self.upstream.values()))
        return {"dataset": place.dataset, "revision": place.revision or ""}

    def expected_rows(self, layout: str) -> dict[str, int]:
        """Give the known sizes of a layout's splits; the key "" is for rows that name no split."""
        place = self.upstream.get(layout)
        sizes = self.splits if place is None or place.splits is None else place.splits
        return {"" if split == UNSPLIT else split: size for split, size in sizes.items() if size is not None}

    def downloadable_layout(self) -> str | None:
        """Name the layout that `medmix fetch` downloads, if there is one."""
        return next((layout for layout, place in self.upstream.items() if place.files), None)

    def summary(self) -> dict[str, Any]:
        """Give the facts that `medmix sources` shows, as plain data."""
        names = ("id", "title", "modality", "task", "samples", "access", "group")
        return {
            **{name: getattr(self, name) for name in names},
            "licence": self.licence.id,
            "verdict": self.licence.verdict,
            "upstream": {layout: self.provenance(layout) for layout in self.upstream},
            "languages": list(self.languages),
            "splits": dict(self.splits),
            "known_issues": list(self.known_issues),
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
        problems.append("languages: is empty; name at least one")
    if not facts.upstream:
        problems.append("upstream: is empty; name at least one layout")
    if (facts.access == "credentialed") != (facts.licence.verdict == "credentialed"):
        problems.append(f"licence.effective.verdict: is {facts.licence.verdict}, but access is {facts.access}")
    if facts.access == "credentialed" and facts.downloadable_layout() is not None:
        problems.append("upstream: a credentialed source must be fetched manually; remove `files`")
    return problems + statements.problems(facts.licence)
