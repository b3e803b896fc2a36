"""uBench: one row an image with up to six questions in it.

Original: Arrow shards as `datasets` writes them. Hub: the Hub's conversion of them to parquet.
"""

import io
import json

import pyarrow as pa
from datasets import ClassLabel, Features, Image, List, Value

from . import hub
from .files import Tree, png
from .phrases import Ask, asks
from .plates import plate
from .scenes import Scene
from .seeds import shuffled, stream

_FOLDER = "perception/0.1.0"
_SHARDS = 2
_IMAGES = 36
_UNNAMED_EVERY = 12

_LABELS = ("sparse", "crowded")
_TOPICS = ("domain", "subdomain", "modality", "submodality", "stain", "classification")
_SETS = ("kather_et_al_2018", "acevedo_et_al_2020", "jung_et_al_2022")
_LICENCES = ("CC BY 4.0", "CC BY 4.0", "CC BY-NC 4.0", "CC0 1.0")
_NONE = "none of the above"

_OPTIONS = {
    "domain": ("pathology", "biology", "botany"),
    "subdomain": ("histopathology", "cell biology", "cytology"),
    "modality": ("light microscopy", "fluorescence microscopy", "electron microscopy"),
    "submodality": ("brightfield", "darkfield", "confocal"),
    "stain": ("H&E", "IHC", "Giemsa"),
}

_TEXTS = (
    "image_id",
    "label_name",
    "dataset",
    "domain",
    "institution",
    "license",
    "modality",
    "ncbitaxon_id",
    "ncbitaxon_name",
    "pmid",
    "split",
    "stain",
    "subdomain",
    "submodality",
)

Row = dict[str, object]


def tree(seed: int) -> Tree:
    """Make the folder: 36 images in two Arrow shards of the only split, test."""
    features = _features()
    rows = [_row(seed, number) for number in range(1, _IMAGES + 1)]
    size = _IMAGES // _SHARDS
    files = {
        f"{_FOLDER}/ubench-test-{shard:05d}-of-{_SHARDS:05d}.arrow": _arrow(rows[shard * size :][:size], features)
        for shard in range(_SHARDS)
    }
    files[f"{_FOLDER}/dataset_info.json"] = _info(features, files)
    return Tree(_IMAGES, files)


def hub_tree(seed: int) -> Tree:
    """Make the folder of the conversion: the rows of `tree` in one file."""
    rows = [_row(seed, number) for number in range(1, _IMAGES + 1)]
    return Tree(_IMAGES, {"perception/test/0000.parquet": hub.parquet(rows, _features())})


def _features() -> Features:
    text = Value("string")
    question = {
        "id": text,
        "name": text,
        "question": text,
        "options": List(text),
        "answer": text,
        "answer_idx": Value("int32"),
    }
    return Features(
        {
            "image_id": text,
            "image": Image(),
            "label": ClassLabel(names=list(_LABELS)),
            **{name: text for name in _TEXTS if name != "image_id"},
            "microns_per_pixel": Value("float32"),
            "synthetic": Value("bool"),
            "captions": dict.fromkeys(_TOPICS, text),
            "questions": dict.fromkeys(_TOPICS, question),
            "bbox": List(Value("float32")),
            "polygon": List(Value("float32")),
        }
    )


def _arrow(rows: list[Row], features: Features) -> bytes:
    buffer = io.BytesIO()
    table = pa.Table.from_pylist(rows, schema=features.arrow_schema)
    with pa.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def _info(features: Features, shards: dict[str, bytes]) -> bytes:
    split = {"name": "test", "num_bytes": sum(map(len, shards.values())), "num_examples": _IMAGES}
    info = {
        "license": "CC-BY-SA-4.0",
        "features": features.to_dict(),
        "builder_name": "ubench",
        "config_name": "perception",
        "version": {"version_str": "0.1.0", "major": 0, "minor": 1, "patch": 0},
        "splits": {"test": split | {"shard_lengths": [_IMAGES // _SHARDS] * _SHARDS}},
    }
    return json.dumps(info).encode()


def _row(seed: int, number: int) -> Row:
    shown = plate(seed, "ubench", str(number), ("tile",))
    values = {
        "domain": "pathology",
        "subdomain": "histopathology",
        "modality": "light microscopy",
        "submodality": "brightfield",
        "stain": shown.scene.stain,
    }
    named = _SETS[number % len(_SETS)]
    return values | {
        "image_id": f"{named}_{number:05d}",
        "image": {"bytes": png(shown.pixels), "path": f"{number:05d}.png"},
        "label": int(shown.scene.large),
        "label_name": _LABELS[shown.scene.large],
        "dataset": None if number % _UNNAMED_EVERY == 0 else named,
        "institution": "sample institute",
        "license": _LICENCES[number % len(_LICENCES)],
        "ncbitaxon_id": "NCBITaxon:9606",
        "ncbitaxon_name": "Homo sapiens",
        "pmid": str(99000000 + number % len(_SETS)),
        "split": "test",
        "microns_per_pixel": 0.5,
        "synthetic": True,
        "captions": {topic: f"A picture of {value} images." for topic, value in values.items()},
        "questions": _questions(seed, number, shown.scene, values),
        "bbox": [],
        "polygon": [],
    }


def _questions(seed: int, number: int, scene: Scene, values: dict[str, str]) -> dict[str, Row | None]:
    rng = stream(seed, "ubench", str(number), "questions")
    questions: dict[str, Row | None] = {}
    for topic, right in values.items():
        ask = Ask(topic, f"What {topic} does this image belong to?", right)
        questions[topic] = _question(ask, number, shuffled(rng, _OPTIONS[topic]))
    questions["classification"] = _question(asks(scene)["density"], number, ["yes", "no"])
    if number % 5 == 0:
        questions["subdomain"] = None
    return questions


def _question(ask: Ask, number: int, options: list[str]) -> Row:
    return {
        "id": f"{ask.topic}_{number:05d}",
        "name": ask.topic,
        "question": ask.question,
        "options": [*options, _NONE],
        "answer": ask.answer,
        "answer_idx": options.index(ask.answer),
    }
