"""The mixture: the sources of a mix, and the rules for their records."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from .record import Section


@dataclass(frozen=True, slots=True)
class SplitRule:
    """How to use upstream's splits.

    Attributes:
        train, validation, test: `keep` the rows of that upstream split in the split of the same name,
            `exclude` them (they still protect others: see `contamination` and `splits`), or `train` on them, after
            which the split is no benchmark for models trained on the mix.
        holdout: share of groups, 0 to 1, that goes to validation; of rows without a split or with `train`.
    """

    train: Literal["keep", "exclude"] = "keep"
    validation: Literal["keep", "exclude", "train"] = "keep"
    test: Literal["keep", "exclude", "train"] = "keep"
    holdout: float = 0.0


@dataclass(frozen=True, slots=True)
class SourceChoice:
    """How to use one source.

    Attributes:
        weight: share of the training stream relative to the other sources' weights, > 0.
        cap: at most this many training records, chosen by a hash of seed and id; None keeps all.
        layout: read this layout and no other; None reads the first one found.
        splits: overrides the mixture's `splits` for this source.
        report: sections of a report to train on: `findings`, `impression`, or `both`, like None; only for
            sources of reports. Reports without the section are dropped.
    """

    weight: float = 1.0
    cap: int | None = None
    layout: str | None = None
    splits: SplitRule | None = None
    report: Literal["findings", "impression", "both"] | None = None


@dataclass(frozen=True, slots=True)
class ImageRule:
    """Limits for usable images.

    Attributes:
        min_side: in pixels.
        max_pixels: as claimed by the header.
        uniform: `drop` records with an image of one brightness, all black or white, or `keep` them; the ledger flags
            them.
    """

    min_side: int = 32
    max_pixels: int = 100_000_000
    uniform: Literal["drop", "keep"] = "drop"


@dataclass(frozen=True, slots=True)
class LicencePolicy:
    """The use of the mix, and how to treat records with an unclear licence.

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
    """Which texts are near-duplicates, and how to treat contradictory answers.

    Attributes:
        text: minimum Jaccard similarity of texts, 0.8 to 1, at which two records with the same images are compared
            word by word; below 0.8 the search would miss some. At 1 only texts that differ in function words or
            whitespace are near-duplicates.
        contradictions: `report` the answers that contradict each other on one image and question, or `drop` them.
    """

    text: float = 0.8
    contradictions: Literal["report", "drop"] = "report"


@dataclass(frozen=True, slots=True)
class CopyRule:
    """Which images that show a part of one another, or neighbour one another, count as copies; copies always do.

    The defaults are those of leaks.

    Attributes:
        panel: whether an image that is a part of the other counts: `drop` its record, or `keep` it.
        overlap: the least share of the smaller image, above 0 to 1, that two images must have in common to count where
            each shows something of its own; `keep` for never.
        sequence: whether neighbours of a volume or a clip count: `drop` their records, or `keep` them.
    """

    panel: Literal["drop", "keep"] = "drop"
    overlap: float | Literal["keep"] = 0.5
    sequence: Literal["drop", "keep"] = "keep"


@dataclass(frozen=True, slots=True)
class DuplicateCopyRule(CopyRule):
    """A `CopyRule` with the defaults of duplicates: copies alone."""

    panel: Literal["drop", "keep"] = "keep"
    overlap: float | Literal["keep"] = "keep"


@dataclass(frozen=True, slots=True)
class CopyRules:
    """Which related images count as copies for leaks into evaluation sets, and for duplicates.

    Groups whose images count for leaks are joined before they are split.
    """

    leaks: CopyRule = CopyRule()
    duplicates: DuplicateCopyRule = DuplicateCopyRule()


@dataclass(frozen=True, slots=True)
class RepeatRule:
    """How often a text may repeat on other images: at most `reports` training reports; None keeps all."""

    reports: int | None = None


@dataclass(frozen=True, slots=True)
class LossRule:
    """When a source counts as lost: one reason drops at least this `share` of its rows, above 0 to 1.

    A build stops at a loss by a reason of reading or images unless `--allow-lost` names the source. Other losses are
    warnings.
    """

    share: float = 0.9


@dataclass(frozen=True, slots=True)
class FileFilter:
    """Which images of a folder to use.

    Attributes:
        files: pattern of the images' paths below the folder, as in `Path.glob`.
        table: instead, a csv file in the folder, with a header, that names the images; without `column` a text
            file with one image per line, labels after it.
        column: column of the table with their names: paths below the folder, or file names with or without suffix.
        where: required values of rows, by column of the table.
    """

    files: str = "**/*"
    table: str = ""
    column: str = ""
    where: dict[str, str] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """List the settings that contradict each other."""
        rules = [
            (self.table and self.files != FileFilter().files, "give `files` or `table`, not both"),
            (self.column and not self.table, "`column` needs a `table`"),
            (self.where and not self.column, "`where` needs a `column`"),
        ]
        return [problem for broken, problem in rules if broken]


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """A set that training records must not overlap: a split of a source, or a set of images that is no source.

    Attributes:
        source, split: one of the mixture's sources, and one of upstream's splits.
        images: instead, the name of a set under the root: the file NAME.parquet of `medmix fingerprint`, or the
            folder NAME with its images.
        file_filter: which images of that folder to use.
        leaks: `drop` the training records that overlap with it, or only `report` them, which keeps upstream's
            splits as they are and makes scores on the set doubtful.
        group: with `drop`, drop all records of a patient, study, article or case of which one is dropped.
    """

    RENAMED: ClassVar[dict[str, str]] = {"listing": "file_filter"}

    source: str = ""
    split: Literal["validation", "test"] = "test"
    images: str = ""
    file_filter: FileFilter = field(default_factory=FileFilter)
    leaks: Literal["drop", "report"] = "drop"
    group: bool = False

    @property
    def name(self) -> str:
        """Its name in reports."""
        return self.images or f"{self.source} {self.split}"


@dataclass(frozen=True, slots=True)
class About:
    """Facts that only the creators of a mix know; the cards print them, or that they are not stated.

    Attributes:
        purpose: why it was created, one or more sentences.
        creators: people, teams.
        funding: who funds it.
        contact: where to reach its maintainers.
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
class Gate:
    """What users are asked on the Hub before they may download a mix for research; a mix for all uses has no gate.

    Attributes:
        prompt: text after the terms that every gate has.
        fields: questions, each with the kind of its answer.
    """

    prompt: str = ""
    fields: dict[str, Literal["text", "checkbox", "country", "date_picker"]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mixture:
    """A mixture, as in its YAML file; the order of `sources` decides which of two duplicates survives.

    Attributes:
        name: the file's stem.
        version: MAJOR.MINOR.PATCH of the mixture, not of medmix.
        languages: ISO 639-1 codes to keep; empty keeps all.
        conflicts: `drop` records whose group is also in a more protected split, or only `report` them, which
            keeps upstream's splits as they are.
        temperature: 1 or more; evens out the sources in the training stream: a source's share is proportional to its
            number of records to the power of 1 / temperature, times weight. 1 keeps the shares; large values make
            them equal (Raffel et al. 2020, arXiv 1910.10683, section 3.5.2). The length of an epoch does not change.
        seed: seed of all hash-based choices.
        sample_data: the build generates its own upstream data (`medmix sample-data`) if no root is given.
        shard_megabytes: size of an output shard on average, 1 MB = 1e6 bytes of images and text; twice that at most,
            unless one record is larger.
        publish: repository on the Hub for `medmix push`, OWNER/NAME; "" requires `--repo`.
        gate: questions to users of the published mix.
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
    copies: CopyRules = CopyRules()
    repeats: RepeatRule = RepeatRule()
    losses: LossRule = LossRule()
    evaluation: tuple[EvaluationSet, ...] = ()
    temperature: float = 1.0
    seed: int = 0
    sample_data: bool = False
    shard_megabytes: int = 256
    publish: str = ""
    gate: Gate = field(default_factory=Gate)
    about: About = About()

    def split_rule(self, source: str) -> SplitRule:
        """Give the split rule of a source: its own, else the mixture's."""
        return self.sources[source].splits or self.splits

    def sections(self) -> dict[str, Section]:
        """Give the section of the reports to train on, by source; sources of whole reports have none."""
        chosen = {source: choice.report for source, choice in self.sources.items()}
        return {source: report for source, report in chosen.items() if report == "findings" or report == "impression"}
