"""croissant.json: machine-readable metadata of a mix, from its manifest.

The format is Croissant 1.1 (http://mlcommons.org/croissant/1.1) with its Responsible AI vocabulary 1.0
(http://mlcommons.org/croissant/RAI/1.0), provenance in W3C PROV-O and conditions of use in ODRL and the Data Use
Ontology. Each config of the dataset card has one record set, over the same files.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets

from ..licences import spdx
from ..record import SPLITS
from ..shards import write_text
from ..write.features import FEATURES
from ..write.manifest import shards_of
from .card_metadata import by_config
from .cards import load_asset, render_lines, render_plain

NAME = "croissant.json"

CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]

PARQUET = "application/x-parquet"

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "duo": "http://purl.obolibrary.org/obo/DUO_",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{
        term: f"cr:{term}"
        for term in (
            *("annotation", "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "excludes"),
            *("extract", "field", "fileObject", "fileProperty", "fileSet", "format", "includes", "isArray"),
            *("isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "readLines", "recordSet"),
            *("references", "regex", "repeated", "replace", "samplingRate", "sdVersion", "separator", "source"),
            *("subField", "transform", "unArchive", "value"),
        )
    },
}

_TYPES = {"string": "sc:Text", "int64": "sc:Integer"}

_SPLIT_TERMS = {"train": "cr:TrainingSplit", "validation": "cr:ValidationSplit", "test": "cr:TestSplit"}


def write(mix: Path, document: Mapping[str, Any]) -> list[str]:
    """Write croissant.json; return its name."""
    write_text(mix / NAME, text(document))
    return [NAME]


def text(document: Mapping[str, Any]) -> str:
    """Return the content of croissant.json, a pure function of the manifest."""
    manifest = json.loads(json.dumps(document, sort_keys=True))
    return json.dumps(describe(manifest), indent=1, ensure_ascii=False) + "\n"


def describe(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata as JSON-LD; the manifest must contain `statistics`, and `files` with the shards."""
    mixture, shards = manifest["mixture"], shards_of(manifest)
    about = mixture["about"]
    configs = by_config(shards)
    optional = {
        "url": about["url"],
        "datePublished": about["published"],
        "creator": [{"@type": "Organization", "name": creator} for creator in about["creators"]],
    }
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": mixture["name"],
        "description": mixture["description"].strip(),
        "conformsTo": CONFORMS_TO,
        "version": mixture["version"],
        **{key: value for key, value in optional.items() if value},
        "license": _licences(manifest["sources"].values()),
        "usageInfo": _usage(manifest["totals"]["kept_by_verdict"]),
        "citeAs": render_plain("CITATION.bib.jinja", manifest).split("\n\n")[0],
        "inLanguage": sorted({code for entry in manifest["sources"].values() for code in entry["kept_by_language"]}),
        "keywords": ["medical", "vision-language"],
        **_responsible(manifest),
        **_provenance(manifest),
        "distribution": [*_file_sets(configs), *_file_objects(manifest, shards)],
        "recordSet": [_splits(), *(_record_set(config, manifest) for config in configs)],
    }


def _licences(sources: Any) -> list[Any]:
    """Return the URL of each licence, or its name where it has none."""
    ids = sorted({licence for entry in sources for licence in entry["kept_by_licence"]})
    return [spdx.url(id_) or {"@type": "CreativeWork", "name": id_} for id_ in ids]


def _usage(verdicts: Mapping[str, int]) -> dict[str, Any]:
    """Return the conditions for using all these records together, as an ODRL offer in DUO terms."""
    actions = {
        "general": {"@id": "duo:0000042", "name": "General research use"},
        "non-commercial": {"@id": "duo:0000046", "name": "Non-commercial use only"},
        "user": {"@id": "duo:0000026", "name": "User specific restriction"},
    }
    limits = []
    if any(verdicts.get(verdict) for verdict in ("research-only", "unclear", "credentialed")):
        limits.append(actions["non-commercial"])
    if verdicts.get("credentialed"):
        limits.append(actions["user"])
    constraints = [
        {
            "@type": "odrl:Constraint",
            "name": limit["name"],
            "odrl:operator": {"@id": "odrl:eq"},
            "odrl:rightOperand": {"@id": limit["@id"]},
        }
        for limit in limits
    ]
    permission = {"@type": "odrl:Permission", "odrl:action": actions["general"]}
    return {
        "@type": ["CreativeWork", "odrl:Offer"],
        "name": ", ".join(f"{count} records {verdict}" for verdict, count in verdicts.items()) or "no records",
        "odrl:permission": {**permission, "odrl:constraint": constraints} if constraints else permission,
    }


def _responsible(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Responsible AI properties, rendered from the templates of the cards."""
    properties = {
        "rai:dataCollection": render_lines("rai_collection.jinja", manifest),
        "rai:dataPreprocessingProtocol": render_lines("rai_preprocessing.jinja", manifest),
        "rai:dataBiases": render_lines("biases.jinja", manifest),
        "rai:dataLimitations": render_lines("limitations.jinja", manifest),
        "rai:personalSensitiveInformation": render_lines("rai_personal.jinja", manifest),
        "rai:dataUseCases": render_lines("rai_uses.jinja", manifest),
        "rai:dataSocialImpact": render_lines("rai_impact.jinja", manifest),
        "rai:dataReleaseMaintenancePlan": render_lines("rai_maintenance.jinja", manifest),
    }
    single = {"rai:dataCollection", "rai:dataSocialImpact", "rai:dataReleaseMaintenancePlan"}
    return {key: " ".join(lines) if key in single else lines for key, lines in properties.items() if lines}


def _provenance(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the upstream datasets, their revisions, and the software that built the mix."""
    derived = [
        {
            "@type": "prov:Entity",
            "@id": f"upstream/{source}",
            "prov:label": entry["facts"]["title"],
            "prov:atLocation": entry["dataset"],
            **({"sc:version": entry["revision"]} if entry["revision"] else {}),
            "prov:wasAttributedTo": {"@type": "prov:Agent", "prov:label": entry["facts"]["attribution"]},
        }
        for source, entry in manifest["sources"].items()
        if entry["kept"]
    ]
    activity = {
        "@type": "prov:Activity",
        "prov:label": f"medmix build --mixture {manifest['mixture']['name']}",
        "prov:wasAssociatedWith": {"@type": "prov:SoftwareAgent", "prov:label": f"medmix {manifest['medmix']}"},
    }
    return {"prov:wasDerivedFrom": derived, "prov:wasGeneratedBy": activity}


def _file_sets(configs: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    for config, shards in configs.items():
        folders = sorted({shard.rsplit("/", 1)[0] for shard in shards})
        yield {
            "@type": "cr:FileSet",
            "@id": f"files/{config}",
            "name": f"files of {config}",
            "encodingFormat": PARQUET,
            "includes": [f"{folder}/*.parquet" for folder in folders],
        }


def _file_objects(manifest: Mapping[str, Any], shards: Sequence[str]) -> Iterator[dict[str, Any]]:
    for file in shards:
        facts = manifest["files"][file]
        source = file.split("/")[1]
        yield {
            "@type": "cr:FileObject",
            "@id": file,
            "name": file,
            "contentUrl": file,
            "contentSize": f"{facts['bytes']} B",
            "encodingFormat": PARQUET,
            "sha256": facts["sha256"],
            "prov:wasDerivedFrom": {"@id": f"upstream/{source}"},
        }


def _splits() -> dict[str, Any]:
    data = [{"splits/name": split, "splits/url": _SPLIT_TERMS[split]} for split in SPLITS]
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            {"@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text"},
            {"@type": "cr:Field", "@id": "splits/url", "name": "url", "dataType": "sc:URL"},
        ],
        "data": data,
    }


def _record_set(config: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    entry = manifest["sources"].get(config)
    verdicts = (entry or manifest["totals"])["kept_by_verdict"]
    record_set = {
        "@type": "cr:RecordSet",
        "@id": config,
        "name": config,
        "description": entry["facts"]["title"] if entry else "All sources.",
        "key": {"@id": f"{config}/id"},
        "usageInfo": _usage(verdicts),
        "field": [_field(config, name, feature) for name, feature in FEATURES.items()],
    }
    return {**record_set, "prov:wasDerivedFrom": {"@id": f"upstream/{config}"}} if entry else record_set


def _field(config: str, column: str, feature: Any) -> dict[str, Any]:
    """Describe a column: a text or number, a list of those, a list of images, a struct, or the conversation."""
    if column == "messages":
        # The reference reader yields no list inside a list, so a turn is described by its last part, the text.
        parts = {"role": "role", "text": "content[-1].text"}
        inner = [_leaf(config, column, _TYPES["string"], name, path) for name, path in parts.items()]
        return {**_field_base(config, column), "isArray": True, "arrayShape": "-1", "subField": inner}
    if isinstance(feature, dict):
        inner = [_leaf(config, column, _TYPES[value.dtype], name, name) for name, value in feature.items()]
        return {**_field_base(config, column), "subField": inner}
    if isinstance(feature, datasets.List) and isinstance(feature.feature, datasets.Image):
        # `repeated` is the older name of `isArray`; the reference reader opens each image only with it.
        images = _leaf(config, column, "sc:ImageObject", path="bytes")
        return {**images, "isArray": True, "arrayShape": "-1", "repeated": True}
    if isinstance(feature, datasets.List):
        return {**_leaf(config, column, _TYPES[feature.feature.dtype]), "isArray": True, "arrayShape": "-1"}
    if column == "split":
        return _split_field(config)
    return _leaf(config, column, _TYPES[feature.dtype])


def _split_field(config: str) -> dict[str, Any]:
    """Take the split from the file name, so that a reader of one split opens no other file.

    A reference to the record set `splits` would be equivalent to the type. With it, the reference reader joins all
    tables in memory; without it, it reads file by file.
    """
    folder = "[dr].*" if config == "default" else f"[dr].*/{config}"  # below data and restricted, as glob and as regex
    regex = f"{folder}/(train|validation|test)-.*\\.parquet$"
    return {
        **_field_base(config, "split"),
        "dataType": ["sc:Text", "cr:Split"],
        "source": {
            "fileSet": {"@id": f"files/{config}"},
            "extract": {"fileProperty": "fullpath"},
            "transform": {"regex": regex},
        },
    }


def _leaf(config: str, column: str, type_: str, inner: str = "", path: str = "") -> dict[str, Any]:
    source: dict[str, Any] = {"fileSet": {"@id": f"files/{config}"}, "extract": {"column": column}}
    if path:
        source["transform"] = {"jsonPath": path}
    return {**_field_base(config, f"{column}/{inner}" if inner else column), "dataType": type_, "source": source}


def _field_base(config: str, column: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{config}/{column}",
        "name": column.rsplit("/", 1)[-1],
        "description": load_asset("columns.yaml")[column],
    }
