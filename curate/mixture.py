"""The mixture: which sources go into a mix, and by which rules."""

from dataclasses import dataclass, field
from typing import Literal

from .record import Section


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
class Listing:
    """What to take of a folder.

    Attributes:
        files: pattern of the images' paths below the folder, as `Path.glob` has it.
        table: instead, a csv file with a header in the folder, or without `column` a text file of one image a line,
            labels behind it, that names the images.
        column: of the table, that names them: paths below the folder, or file names with or without their ending.
        where: columns of the table and the value that a row must have there to be taken.
    """

    files: str = "**/*"
    table: str = ""
    column: str = ""
    where: dict[str, str] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """List what contradicts itself."""
        found = []
        if self.table and self.files != Listing().files:
            found.append("give `files` or `table`, not both")
        if self.column and not self.table:
            found.append("`column` needs a `table`")
        if self.where and not self.column:
            found.append("`where` needs a `column`")
        return found


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
