"""Mixtures by name, from `mixtures/*.yaml`, or from a file; what a mixture may not say."""

import re
from pathlib import Path

from . import facts
from .config import find_yaml, is_iso_date, nearest, parse, read_yaml
from .errors import UsageError
from .mixture import Listing, Mixture


def load(name_or_path: str) -> Mixture:
    """Load a mixture by name, or from a YAML file.

    Raises:
        UsageError: there is no such mixture, or it has problems; all of them are named at once.
    """
    path = find_yaml("mixtures", "mixture", name_or_path)
    where = f"{path.stem}.yaml"
    mixture = parse(Mixture, read_yaml(path), where)
    problems = _problems(mixture, path.stem)
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
    if mixture.about.published and not is_iso_date(mixture.about.published):
        problems.append(f"about.published: {mixture.about.published!r} is not a date; write YYYY-MM-DD")
    return problems


def is_repo(name: str) -> bool:
    """Tell whether a text is OWNER/NAME, as the Hub takes it."""
    parts = name.split("/")
    plain = all(re.fullmatch(r"[A-Za-z0-9_.-]{1,96}", part) and part[0] not in ".-" for part in parts)
    return len(parts) == 2 and plain and not re.search(r"--|\.\.|[.-]$|\.git$", name)
