"""The YAML head of the dataset card, as the Hub and `datasets` read it."""

from collections.abc import Mapping, Sequence
from typing import Any

import datasets

from ..record import SPLITS
from ..write.features import FEATURES

TASK_CATEGORIES = {
    "caption": "image-to-text",
    "report": "image-to-text",
    "vqa": "visual-question-answering",
    "mcqa": "multiple-choice",
    "qa": "question-answering",
}
"""Our task -> the Hub's name for it."""

SIZE_CATEGORIES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))

GATE = (
    "This mix was made for research on medical models. Every record stays under its own licence, in the column "
    "`license`. By asking for access you agree to keep to those licences, to try to identify nobody, and to take no "
    "clinical decision by these data or by what was trained on them alone."
)
"""Texts and keys: https://huggingface.co/docs/hub/datasets-gated."""

HUB_LICENCES = {
    id_: id_.lower()
    for id_ in (
        *("CC0-1.0", "MIT", "Apache-2.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-ND-4.0", "CC-BY-NC-4.0"),
        *("CC-BY-NC-SA-4.0", "CC-BY-NC-ND-4.0"),
    )
}
"""Our id -> the Hub's, where it has one."""


def header(document: Mapping[str, Any], shards: Sequence[str]) -> dict[str, Any]:
    """Give the head of a card that covers just the given shards of a mix."""
    sources = document["sources"]
    configs = by_config(shards)
    covered = [config for config in configs if config in sources]
    kept = _sum(document, shards, "rows")
    return {
        "pretty_name": f"{document['mixture']['name']} {document['mixture']['version']}",
        **_licence({licence for source in covered for licence in sources[source]["kept_by_licence"]}),
        "language": _united(sources, covered, "kept_by_language"),
        "task_categories": sorted(
            {TASK_CATEGORIES[task] for task in _united(sources, covered, "kept_by_task")},
        ),
        "size_categories": [next((name for limit, name in SIZE_CATEGORIES if kept < limit), "n>1M")],
        "tags": ["medical", "vision-language", "medmix"],
        **_gate(document),
        "configs": [_config(name, mine) for name, mine in configs.items()],
        **_dataset_info(document, configs),
    }


def _gate(document: Mapping[str, Any]) -> dict[str, str]:
    """Give what the Hub asks each user to accept before a download, of a published mix that is made for research."""
    if not document.get("published", {}).get("gated"):
        return {}
    return {"extra_gated_heading": "For research", "extra_gated_prompt": GATE}


def _licence(ids: set[str]) -> dict[str, str]:
    """Give the licence as the Hub takes it: one that it knows, or `other` with a file that tells them all."""
    if len(ids) == 1 and (known := HUB_LICENCES.get(next(iter(ids)))):
        return {"license": known}
    return {"license": "other", "license_name": "per-record", "license_link": "LICENSE.md"}


def _united(sources: Mapping[str, Any], covered: Sequence[str], counts: str) -> list[str]:
    return sorted({value for source in covered for value in sources[source][counts]})


def _config(name: str, shards: Sequence[str]) -> dict[str, Any]:
    """Give a config that covers just the given shards, one glob per folder, source and split."""
    data_files = [
        {"split": split, "path": sorted({f"{shard.rsplit('/', 1)[0]}/{split}-*.parquet" for shard in mine})}
        for split, mine in by_split(shards).items()
    ]
    config: dict[str, Any] = {"config_name": name, "data_files": data_files}
    return {**config, "default": True} if name == "default" else config


def by_config(shards: Sequence[str]) -> dict[str, list[str]]:
    """Sort shards by config: all of them in `default`, those of each source in its own; without empty ones."""
    configs: dict[str, list[str]] = {"default": sorted(shards)} if shards else {}
    for shard in sorted(shards, key=lambda shard: (shard.split("/")[1], shard)):
        configs.setdefault(shard.split("/")[1], []).append(shard)
    return configs


def by_split(shards: Sequence[str]) -> dict[str, list[str]]:
    """Sort shards by the split in their name; splits in the order of `record.SPLITS`, without empty ones."""
    found = {split: [shard for shard in shards if shard.rsplit("/", 1)[1].startswith(f"{split}-")] for split in SPLITS}
    return {split: mine for split, mine in found.items() if mine}


def _dataset_info(document: Mapping[str, Any], configs: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Give columns, splits and sizes per config in the form that `datasets` writes."""
    infos = {}
    for config, shards in configs.items():
        splits = datasets.SplitDict()
        for split, mine in by_split(shards).items():
            size, rows = _sum(document, mine, "unpacked_bytes"), _sum(document, mine, "rows")
            splits.add(datasets.SplitInfo(name=split, num_bytes=size, num_examples=rows))
        infos[config] = datasets.DatasetInfo(
            features=FEATURES,
            splits=splits,
            download_size=_sum(document, shards, "bytes"),
            dataset_size=_sum(document, shards, "unpacked_bytes"),
        )
    head: dict[str, Any] = {}
    datasets.info.DatasetInfosDict(infos).to_dataset_card_data(head)
    return head


def _sum(document: Mapping[str, Any], shards: Sequence[str], fact: str) -> int:
    return sum(document["files"][shard][fact] for shard in shards)
