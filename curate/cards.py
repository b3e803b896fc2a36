"""The texts of a mix that people read; every number in them comes from the manifest or the shards."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import jinja2
import pyarrow.parquet as pq
import yaml

from .facts import Facts
from .record import REASONS
from .shards import replacing, write_text
from .sources import layouts

README = "README.md"
ATTRIBUTION = "ATTRIBUTION.md"
CITATION = "CITATION.bib"

TASK_CATEGORIES = {
    "caption": "image-to-text",
    "report": "image-to-text",
    "vqa": "visual-question-answering",
    "mcqa": "multiple-choice",
    "qa": "question-answering",
}
"""Our task -> the Hub's name for it."""

SIZE_CATEGORIES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def write(mix: Path, document: Mapping[str, Any], facts: Sequence[Facts], shards: Sequence[str]) -> list[str]:
    """Write the cards of a mix from its manifest and shards; give their names."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=False,  # noqa: S701 - Markdown, not HTML
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    data_files = [shard for shard in shards if not shard.startswith("pointers/")]
    card = environment.get_template("README.md.jinja").render(
        header=yaml.safe_dump(header(document, data_files), sort_keys=False, allow_unicode=True, width=100),
        manifest=document,
        facts={entry.id: entry for entry in facts},
        converted=[source for source, entry in document["sources"].items() if _is_converted(source, entry["layout"])],
        reasons={reason: REASONS[reason] for reason in REASONS if _is_met(reason, document)},
    )
    write_text(mix / README, card)
    with replacing(mix / ATTRIBUTION) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as handle:
        handle.writelines(_attribution(mix, facts, data_files))
    write_text(mix / CITATION, "\n\n".join(entry.citation.strip() for entry in facts if entry.citation) + "\n")
    return [README, ATTRIBUTION, CITATION]


def _is_met(reason: str, document: Mapping[str, Any]) -> bool:
    return any(reason in entry["dropped_by_reason"] for entry in document["sources"].values())


def _is_converted(source: str, layout: str) -> bool:
    """Tell whether upstream's images are of a kind that a mix holds as PNG."""
    return any(one.images for one in layouts(source) if one.name == layout)


def _template(name: str) -> str:
    return (package_files("medmix.cards") / name).read_text(encoding="utf-8")


def header(document: Mapping[str, Any], shards: Sequence[str]) -> dict[str, Any]:
    """Give the YAML head of the dataset card, as the Hub and `datasets` read it."""
    sources = document["sources"]
    kept = document["totals"]["kept"]
    tasks = sorted({TASK_CATEGORIES[task] for entry in sources.values() for task in entry["kept_by_task"]})
    languages = sorted({language for entry in sources.values() for language in entry["kept_by_language"]})
    used = sorted({licence for entry in sources.values() for licence in entry["kept_by_licence"]})
    return {
        "pretty_name": f"{document['mixture']['name']} {document['mixture']['version']}",
        "license": "other",
        "license_name": " AND ".join(used) or "none",
        "license_link": ATTRIBUTION,
        "language": languages,
        "task_categories": tasks,
        "size_categories": [next((name for limit, name in SIZE_CATEGORIES if kept < limit), "n>1M")],
        "tags": ["medical", "medmix"],
        "configs": [_config("default", shards)]
        + [
            _config(source, mine)
            for source in sources
            if (mine := [shard for shard in shards if shard.split("/")[1] == source])
        ],
    }


def _config(name: str, shards: Sequence[str]) -> dict[str, Any]:
    """Give a config that covers just the given shards, one glob per folder, source and split."""
    globs: dict[str, list[str]] = {}
    for shard in sorted(shards):
        folder, file = shard.rsplit("/", 1)
        split = file.split("-")[0]
        pattern = f"{folder}/{split}-*.parquet"
        if pattern not in globs.setdefault(split, []):
            globs[split].append(pattern)
    order = [split for split in ("train", "validation", "test") if split in globs]
    config: dict[str, Any] = {"config_name": name, "data_files": [{"split": key, "path": globs[key]} for key in order]}
    return {**config, "default": True} if name == "default" else config


def _attribution(mix: Path, facts: Sequence[Facts], shards: Sequence[str]) -> Iterator[str]:
    """Give the lines that credit every record: a source's own line, then what single records add to it."""
    yield "# Attribution\n\nWhom to credit for what is in this mix, by source and licence.\n"
    for entry in facts:
        credits: set[tuple[str, str]] = set()
        for shard in (shard for shard in shards if shard.split("/")[1] == entry.id):
            for batch in pq.ParquetFile(mix / shard).iter_batches(columns=["license", "attribution"]):
                pairs = zip(batch["license"].to_pylist(), batch["attribution"].to_pylist(), strict=True)
                credits.update(pairs)
        if not credits:
            continue
        yield f"\n## {entry.title}\n\n{entry.attribution}\n\n"
        yield from (f"- {licence}: {credit}\n" for licence, credit in sorted(credits))
