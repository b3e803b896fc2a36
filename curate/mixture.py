"""The mixture: which sources go into a mix, and by which rules. Loads `mixtures/*.yaml`."""

import re
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Literal

from . import facts
from .config import is_day, nearest, parse, read_yaml
from .errors import UsageError
from .listing import Listing
from .reports import Section


@dataclass(frozen=True, slots=True)
class SplitRule:
    """What becomes of upstream's splits.

    Attributes:
        train, validation, test: `keep` the rows of that upstream split in the split of the same name,
            `exclude` them (they still protect: see `contamination` and `splits`), or `train` on them, which
            spends a benchmark: it is no longer one for what is trained on the mix.
        holdout: share of the groups, 0 to 1, of rows without a split, or trained on by `train`, that goes to
            validation.
    """

    train: Literal["keep", "exclude"] = "keep"
    validation: Literal["keep", "exclude", "train"] = "keep"
    test: Literal["keep", "exclude", "train"] = "keep"
    holdout: float = 0.0


@dataclass(frozen=True, slots=True)
class SourceChoice:
    """How one source takes part.

    Attributes:
        weight: share of the training stream relative to the other sources' weights, > 0.
        cap: at most this many training records, chosen by a hash of seed and id; None keeps all.
        layout: read this layout and no other; None takes the first that is there.
        splits: overrides the mixture's `splits` for this source.
        report: what a report teaches: its `findings`, its `impression`, or `both`, as does None; only for
            sources of reports. One without the section is dropped.
    """

    weight: float = 1.0
    cap: int | None = None
    layout: str | None = None
    splits: SplitRule | None = None
    report: Literal["findings", "impression", "both"] | None = None


@dataclass(frozen=True, slots=True)
class ImageRule:
    """Which images are usable: `min_side` in pixels, `max_pixels` as claimed by the header."""

    min_side: int = 32
    max_pixels: int = 100_000_000


@dataclass(frozen=True, slots=True)
class LicencePolicy:
    """What the mix is for, and what becomes of records whose licence is unclear.

    With `use: commercial`, records whose licence forbids or does not state commercial use are dropped.
    With `unclear: restrict` unclear records are kept for local training and never published; None restricts them
    for research and excludes them for commercial use, which cannot keep them.
    """

    use: Literal["research", "commercial"] = "research"
    unclear: Literal["restrict", "exclude"] | None = None

    @property
    def keeps_unclear(self) -> bool:
        """Whether unclear records stay in the mix."""
        return self.use == "research" and self.unclear != "exclude"


@dataclass(frozen=True, slots=True)
class DuplicateRule:
    """What counts as saying the same, and what becomes of answers that contradict each other.

    Attributes:
        text: Jaccard similarity of texts, 0.8 to 1, from which on two records with the same images are compared
            word by word; below 0.8 the search would miss some. 1 leaves only texts that differ in little words
            or blanks.
        contradictions: `report` the answers that contradict each other on one image and question, or `drop` them.
    """

    text: float = 0.8
    contradictions: Literal["report", "drop"] = "report"


@dataclass(frozen=True, slots=True)
class RepeatRule:
    """How often a text may come again on other images: `reports` as many training records; None takes all."""

    reports: int | None = None


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """What training records must share nothing with: a split of a source, or a set of images that is no source.

    Attributes:
        source, split: one of the mixture's sources, and which of upstream's splits.
        images: instead, the name of a set that lies under the root, as the file NAME.parquet that `medmix fingerprint`
            made, or as the folder NAME with its images.
        listing: which images of that folder.
        leaks: `drop` the training records that share something with it, or only `report` them, which keeps
            upstream's splits as they are and leaves the scores on them in doubt.
        group: with `drop`, drop all records of a patient, study, article or case of which one falls.
    """

    source: str = ""
    split: Literal["validation", "test"] = "test"
    images: str = ""
    listing: Listing = field(default_factory=Listing)
    leaks: Literal["drop", "report"] = "drop"
    group: bool = False

    @property
    def name(self) -> str:
        """How reports call it."""
        return self.images or f"{self.source} {self.split}"


@dataclass(frozen=True, slots=True)
class About:
    """What only its makers know of a mix; the cards tell it, and say so where it is not stated.

    Attributes:
        purpose: for what it is made, one or more sentences.
        creators: who makes it: people, teams.
        funding: who pays for it.
        contact: where to reach those who keep it.
        published: day of publication, YYYY-MM-DD.
        url: page of the published mix.
    """

    purpose: str = ""
    creators: tuple[str, ...] = ()
    funding: str = ""
    contact: str = ""
    published: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Mixture:
    """A mixture as its YAML says it; the order of `sources` decides which of two duplicates survives.

    Attributes:
        name: the file's stem.
        version: MAJOR.MINOR.PATCH of the mixture, not of medmix.
        languages: ISO 639-1 codes to keep; empty keeps all.
        conflicts: `drop` records whose group also stands in a more protected split, or only `report` them, which
            keeps upstream's splits as they are.
        temperature: 1 or more; evens out the sources in the training stream: shares go as the number of records to the
            power of 1 / temperature, times weight. 1 leaves them as they are, and a large one makes them alike
            (Raffel et al. 2020, arXiv 1910.10683, section 3.5.2). The length of an epoch stays.
        seed: goes into every choice that is left to a hash.
        sample_data: the build makes its own upstream data (`medmix sample-data`) when no root is given.
        shard_megabytes: size at which an output shard is closed, 1 MB = 1e6 bytes of images and text.
        publish: where `medmix push` publishes it on the Hub, OWNER/NAME; "" asks for `--repo`.
    """

    name: str
    version: str
    description: str
    sources: dict[str, SourceChoice]
    languages: tuple[str, ...] = ()
    images: ImageRule = ImageRule()
    licence_policy: LicencePolicy = LicencePolicy()
    splits: SplitRule = SplitRule()
    conflicts: Literal["drop", "report"] = "drop"
    duplicates: DuplicateRule = DuplicateRule()
    repeats: RepeatRule = RepeatRule()
    evaluation: tuple[EvaluationSet, ...] = ()
    temperature: float = 1.0
    seed: int = 0
    sample_data: bool = False
    shard_megabytes: int = 256
    publish: str = ""
    about: About = About()

    def split_rule(self, source: str) -> SplitRule:
        """Give the rule for a source: its own, else the mixture's."""
        return self.sources[source].splits or self.splits

    def sections(self) -> dict[str, Section]:
        """Give the section of the reports that is taught, by source, for the sources where it is one alone."""
        asked = {source: choice.report for source, choice in self.sources.items()}
        return {source: report for source, report in asked.items() if report == "findings" or report == "impression"}


def is_repo(name: str) -> bool:
    """Tell whether a text is OWNER/NAME, as the Hub takes it."""
    parts = name.split("/")
    plain = all(re.fullmatch(r"[A-Za-z0-9_.-]{1,96}", part) and part[0] not in ".-" for part in parts)
    return len(parts) == 2 and plain and not re.search(r"--|\.\.|[.-]$|\.git$", name)


def names() -> list[str]:
    """List the mixtures that come with medmix."""
    return sorted(Path(entry.name).stem for entry in files("medmix.mixtures").iterdir() if entry.name.endswith(".yaml"))


def load(name_or_path: str) -> Mixture:
    """Load a mixture by name, or from a YAML file.

    Raises:
        UsageError: there is no such mixture, or it has problems; all of them are named at once.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        data = read_yaml(path)
        stem = path.stem
    elif name_or_path in names():
        data = read_yaml(Path(str(files("medmix.mixtures") / f"{name_or_path}.yaml")))
        stem = name_or_path
    else:
        raise UsageError(
            f"mixture {name_or_path!r} is unknown{nearest(name_or_path, names())}; "
            f"there are {', '.join(names())}, or give a path that ends in .yaml"
        )
    where = f"{stem}.yaml"
    mixture = parse(Mixture, data, where)
    problems = _problems(mixture, stem)
    if problems:
        raise UsageError("; ".join(f"{where}: {problem}" for problem in problems))
    return mixture


def _problems(mixture: Mixture, stem: str) -> list[str]:
    problems = []
    if mixture.name != stem:
        problems.append(f"name: is {mixture.name!r}, but the file is called {stem!r}; make them equal")
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", mixture.version):
        problems.append(f"version: {mixture.version!r} is not MAJOR.MINOR.PATCH")
    if mixture.publish and not is_repo(mixture.publish):
        problems.append(f"publish: {mixture.publish!r} is no OWNER/NAME of a dataset on the Hub")
    if not mixture.sources:
        problems.append("sources: names no source")
    if mixture.temperature < 1:
        problems.append("temperature: must be 1 or more")
    known = facts.source_ids()
    for source, choice in mixture.sources.items():
        if source not in known:
            problems.append(f"sources.{source}: no such source{nearest(source, known)}")
        elif choice.report is not None and facts.load(source).task != "report":
            task = facts.load(source).task
            problems.append(f"sources.{source}.report: {source} has no reports (its task is {task}); take it out")
        if choice.weight <= 0:
            problems.append(f"sources.{source}.weight: must be above 0")
        if choice.cap is not None and choice.cap < 1:
            problems.append(f"sources.{source}.cap: must be 1 or more")
        if choice.splits and not 0 <= choice.splits.holdout <= 1:
            problems.append(f"sources.{source}.splits.holdout: must lie between 0 and 1")
    problems += [
        f"evaluation: {item.source!r} is not among the mixture's sources{nearest(item.source, list(mixture.sources))}"
        for item in mixture.evaluation
        if item.source and item.source not in mixture.sources
    ]
    problems += [
        f"evaluation[{place}]: give `source`, with its `split`, or `images`, with a `listing`, and not both"
        for place, item in enumerate(mixture.evaluation)
        if bool(item.source) == bool(item.images) or (item.source and item.listing != Listing())
    ]
    problems += [
        f"evaluation[{place}].images: {item.images!r} is not a plain name of a folder or file under the root"
        for place, item in enumerate(mixture.evaluation)
        if item.images and (Path(item.images).name != item.images or item.images in known)
    ]
    problems += [
        f"evaluation[{place}].listing: {problem}"
        for place, item in enumerate(mixture.evaluation)
        for problem in item.listing.problems()
    ]
    problems += [
        f"evaluation: {item.source} {item.split} is trained on by its `splits`; it cannot be kept clean of"
        for item in mixture.evaluation
        if item.source in mixture.sources and getattr(mixture.split_rule(item.source), item.split) == "train"
    ]
    if not 0 <= mixture.splits.holdout <= 1:
        problems.append("splits.holdout: must lie between 0 and 1")
    if not 0.8 <= mixture.duplicates.text <= 1:
        problems.append("duplicates.text: must lie between 0.8 and 1")
    if mixture.repeats.reports is not None and mixture.repeats.reports < 1:
        problems.append("repeats.reports: must be 1 or more")
    problems += [
        f"evaluation: {item.name} has `group: true`, which needs `leaks: drop`"
        for item in mixture.evaluation
        if item.group and item.leaks == "report"
    ]
    if mixture.images.min_side < 1 or mixture.images.max_pixels < 1:
        problems.append("images: min_side and max_pixels must be 1 or more")
    if mixture.licence_policy.use == "commercial" and mixture.licence_policy.unclear == "restrict":
        problems.append(
            "licence_policy: contradicts itself: `use: commercial` cannot keep records whose licence is unclear; "
            "set `unclear: exclude`, or `use: research`"
        )
    if mixture.shard_megabytes < 1:
        problems.append("shard_megabytes: must be 1 or more")
    if mixture.about.published and not is_day(mixture.about.published):
        problems.append(f"about.published: {mixture.about.published!r} is no day; write YYYY-MM-DD")
    return problems
