"""The YAML metadata of the dataset card, in the form that the Hub and `datasets` read."""

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
"""Task of a record -> task category of the Hub."""

SIZE_CATEGORIES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))

GATE = (
    "This mix was made for research on medical models. Every record keeps its own licence, in the column `license`. "
    "By requesting access you agree to comply with these licences, not to try to identify anyone, and not to base any "
    "clinical decision solely on this data or on models trained on it."
)
"""The text of the access request of a gated dataset: https://huggingface.co/docs/hub/datasets-gated."""

HUB_LICENCES = {
    id_: id_.lower()
    for id_ in (
        *("CC0-1.0", "MIT", "Apache-2.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-ND-4.0", "CC-BY-NC-4.0"),
        *("CC-BY-NC-SA-4.0", "CC-BY-NC-ND-4.0"),
    )
}
"""SPDX id -> licence id of the Hub, for those that the Hub has."""


def metadata(document: Mapping[str, Any], shards: Sequence[str]) -> dict[str, Any]:
    """Return the metadata of a card that covers only the given shards of a mix."""
    sources = document["sources"]
    configs = by_config(shards)
    covered = [config for config in configs if config in sources]
    kept = _sum(document, shards, "rows")
    return {
        "pretty_name": f"{document['mixture']['name']} {document['mixture']['version']}",
        **_licence({licence for source in covered for licence in sources[source]["kept_by_licence"]}),
        "language": _values(sources, covered, "kept_by_language"),
        "task_categories": sorted({TASK_CATEGORIES[task] for task in _values(sources, covered, "kept_by_task")}),
        "size_categories": [next((name for limit, name in SIZE_CATEGORIES if kept < limit), "n>1M")],
        "tags": ["medical", "vision-language", "medmix"],
        **_gate(document),
        "configs": [_config(name, files) for name, files in configs.items()],
        **_dataset_info(document, configs),
    }


def _gate(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the terms that users must accept before a download, and the mixture's questions, for a gated mix."""
    if not document.get("published", {}).get("gated"):
        return {}
    own = document["settings"]["mixture"].get("gate", {})
    prompt = " ".join(filter(None, (GATE, own.get("prompt", "").strip())))
    questions = {"extra_gated_fields": dict(own["fields"])} if own.get("fields") else {}
    return {"extra_gated_heading": "For research", "extra_gated_prompt": prompt, **questions}


def _licence(ids: set[str]) -> dict[str, str]:
    """Return the licence for the Hub: its id of a single licence, or `other` with a link to the list of licences."""
    if len(ids) == 1 and (known := HUB_LICENCES.get(next(iter(ids)))):
        return {"license": known}
    return {"license": "other", "license_name": "per-record", "license_link": "LICENSE.md"}


def _values(sources: Mapping[str, Any], covered: Sequence[str], counts: str) -> list[str]:
    return sorted({value for source in covered for value in sources[source][counts]})


def _config(name: str, shards: Sequence[str]) -> dict[str, Any]:
    """Return a config that covers only the given shards, with one glob per folder, source and split."""
    data_files = [
        {"split": split, "path": sorted({f"{shard.rsplit('/', 1)[0]}/{split}-*.parquet" for shard in files})}
        for split, files in by_split(shards).items()
    ]
    config: dict[str, Any] = {"config_name": name, "data_files": data_files}
    return {**config, "default": True} if name == "default" else config


def by_config(shards: Sequence[str]) -> dict[str, list[str]]:
    """Group shards by config: `default` has all of them, each source its own; empty configs are left out."""
    configs: dict[str, list[str]] = {"default": sorted(shards)} if shards else {}
    for shard in sorted(shards, key=lambda shard: (shard.split("/")[1], shard)):
        configs.setdefault(shard.split("/")[1], []).append(shard)
    return configs


def by_split(shards: Sequence[str]) -> dict[str, list[str]]:
    """Group shards by the split in their name, in the order of `record.SPLITS`; empty splits are left out."""
    found = {split: [shard for shard in shards if shard.rsplit("/", 1)[1].startswith(f"{split}-")] for split in SPLITS}
    return {split: files for split, files in found.items() if files}


def _dataset_info(document: Mapping[str, Any], configs: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return splits and sizes per config, in the form that `datasets` writes, and the columns once.

    All configs have the columns of the default one; their parquet files name them too.
    """
    infos = {}
    for config, shards in configs.items():
        splits = datasets.SplitDict()
        for split, files in by_split(shards).items():
            size, rows = _sum(document, files, "unpacked_bytes"), _sum(document, files, "rows")
            splits.add(datasets.SplitInfo(name=split, num_bytes=size, num_examples=rows))
        infos[config] = datasets.DatasetInfo(
            features=FEATURES if config == "default" else None,
            splits=splits,
            download_size=_sum(document, shards, "bytes"),
            dataset_size=_sum(document, shards, "unpacked_bytes"),
        )
    card_data: dict[str, Any] = {}
    datasets.info.DatasetInfosDict(infos).to_dataset_card_data(card_data)
    return card_data


def _sum(document: Mapping[str, Any], shards: Sequence[str], fact: str) -> int:
    return sum(document["files"][shard][fact] for shard in shards)
