"""Load a mixture by name, from `mixtures/*.yaml`, or from a file, and validate it."""

import re
from pathlib import Path

from . import facts
from .config import find_yaml, is_iso_date, nearest, parse, read_yaml
from .errors import UsageError
from .mixture import CopyRule, FileFilter, Mixture


def load(name_or_path: str) -> Mixture:
    """Load a mixture by name, or from a YAML file.

    Raises:
        UsageError: the mixture does not exist, or it is invalid; names all problems at once.
    """
    path = find_yaml("mixtures", "mixture", name_or_path)
    where = f"{path.stem}.yaml"
    mixture = parse(Mixture, read_yaml(path), where)
    problems = _problems(mixture, path.stem)
    if problems:
        raise UsageError("; ".join(f"{where}: {problem}" for problem in problems))
    return mixture


def _problems(mixture: Mixture, stem: str) -> list[str]:
    """List the values out of range and the settings that contradict each other."""
    return [
        *_general_problems(mixture, stem),
        *(problem for source in mixture.sources for problem in _source_problems(mixture, source)),
        *(problem for place in range(len(mixture.evaluation)) for problem in _evaluation_problems(mixture, place)),
    ]


def _general_problems(mixture: Mixture, stem: str) -> list[str]:
    about, images, policy, reports = mixture.about, mixture.images, mixture.licence_policy, mixture.repeats.reports
    rules = [
        (mixture.name != stem, f"name: is {mixture.name!r}, but the file is called {stem!r}; make them equal"),
        (not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", mixture.version),
         f"version: {mixture.version!r} is not MAJOR.MINOR.PATCH"),
        (mixture.publish and not is_repo(mixture.publish),
         f"publish: {mixture.publish!r} is no OWNER/NAME of a dataset on the Hub"),
        (not mixture.sources, "sources: names no source"),
        (mixture.temperature < 1, "temperature: must be 1 or more"),
        (not 0 <= mixture.splits.holdout <= 1, "splits.holdout: must lie between 0 and 1"),
        (not 0.8 <= mixture.duplicates.text <= 1, "duplicates.text: must lie between 0.8 and 1"),
        (reports is not None and reports < 1, "repeats.reports: must be 1 or more"),
        (not 0 < mixture.losses.share <= 1, "losses.share: must be above 0 and at most 1"),
        (images.min_side < 1 or images.max_pixels < 1, "images: min_side and max_pixels must be 1 or more"),
        (policy.use == "commercial" and policy.unclear == "restrict",
         "licence_policy: contradicts itself: `use: commercial` cannot keep records whose licence is unclear; "
         "set `unclear: exclude`, or `use: research`"),
        (policy.use == "commercial" and (mixture.gate.prompt or mixture.gate.fields),
         "gate: only mixes with `use: research` have one; leave it out"),
        (not all(label.strip() and len(label.splitlines()) == 1 for label in mixture.gate.fields),
         "gate.fields: each question must be one line of text"),
        (mixture.shard_megabytes < 1, "shard_megabytes: must be 1 or more"),
        (about.published and not is_iso_date(about.published),
         f"about.published: {about.published!r} is not a date; write YYYY-MM-DD"),
    ]  # fmt: skip
    found = [problem for broken, problem in rules if broken]
    return [
        *found,
        *_copy_problems("leaks", mixture.copies.leaks),
        *_copy_problems("duplicates", mixture.copies.duplicates),
    ]


def _copy_problems(name: str, rule: CopyRule) -> list[str]:
    is_wrong = rule.overlap != "keep" and not 0 < rule.overlap <= 1
    return [f"copies.{name}.overlap: must be above 0 and at most 1, or keep"] if is_wrong else []


def _source_problems(mixture: Mixture, source: str) -> list[str]:
    choice, known = mixture.sources[source], facts.source_ids()
    task = facts.load(source).task if source in known else ""
    rules = [
        (source not in known, f": no such source{nearest(source, known)}"),
        (
            task not in ("", "report") and choice.report,
            f".report: {source} has no reports (its task is {task}); remove it",
        ),
        (choice.weight <= 0, ".weight: must be above 0"),
        (choice.cap is not None and choice.cap < 1, ".cap: must be 1 or more"),
        (choice.splits and not 0 <= choice.splits.holdout <= 1, ".splits.holdout: must lie between 0 and 1"),
    ]
    return [f"sources.{source}{problem}" for broken, problem in rules if broken]


def _evaluation_problems(mixture: Mixture, place: int) -> list[str]:
    item = mixture.evaluation[place]
    is_source, at = item.source in mixture.sources, f"evaluation[{place}]"
    rules = [
        (item.source and not is_source,
         f"evaluation: {item.source!r} is not among the mixture's sources{nearest(item.source, mixture.sources)}"),
        (bool(item.source) == bool(item.images) or (item.source and item.file_filter != FileFilter()),
         f"{at}: give `source`, with its `split`, or `images`, with a `file_filter`, and not both"),
        (item.images and (Path(item.images).name != item.images or item.images in facts.source_ids()),
         f"{at}.images: {item.images!r} is not a plain name of a folder or file under the root"),
        (is_source and getattr(mixture.split_rule(item.source), item.split) == "train",
         f"evaluation: {item.source} {item.split} is trained on by its `splits`; it cannot be an evaluation set"),
        (item.name in [other.name for other in mixture.evaluation[:place]],
         f"{at}: {item.name} is named twice; name it once"),
        (item.group and item.leaks == "report",
         f"evaluation: {item.name} has `group: true`, which needs `leaks: drop`"),
    ]  # fmt: skip
    found = [problem for broken, problem in rules if broken]
    return [*found, *(f"{at}.file_filter: {problem}" for problem in item.file_filter.problems())]


def is_repo(name: str) -> bool:
    """Tell whether a text is a valid OWNER/NAME on the Hub."""
    parts = name.split("/")
    plain = all(re.fullmatch(r"[A-Za-z0-9_.-]{1,96}", part) and part[0] not in ".-" for part in parts)
    return len(parts) == 2 and plain and not re.search(r"--|\.\.|[.-]$|\.git$", name)
