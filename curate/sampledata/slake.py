"""SLAKE: one JSON list a split with English and Chinese questions, an `xmlabN` folder an image.

Hub: the same files in the root, the validation file under another name, the images in a zip.
"""

import json
from collections.abc import Iterable

from .files import Tree, jpeg, zipped
from .phrases import Ask, asks
from .plates import drawn, facts
from .scenes import Scene
from .seeds import shuffled, stream

_IMAGES = 28
_TOO_SMALL = 4
_EMPTY_ANSWER = 6

IN_OMNIMEDVQA = 27
"""A film, in test in both languages, that is also one of OmniMedVQA's chest films."""

_SPLITS: dict[str, dict[str, Iterable[int]]] = {
    "en": {"train": range(1, 19), "validate": range(19, 23), "test": range(23, 29)},
    # Chinese splits were drawn anew upstream: three English test images are in Chinese train
    "zh": {"train": (*range(1, 16), 23, 24, 25), "validate": (16, 17, 19, 20), "test": (18, 21, 22, 26, 27, 28)},
}

_MODALITY = {"film": "X-Ray", "ct": "CT", "mr": "MRI"}
_LOCATION = {"chest": "Lung", "abdomen": "Abdomen", "brain": "Brain"}
_FUNCTION = {"chest": "breathing", "abdomen": "digestion", "brain": "thinking"}

_TOPICS = {
    "modality": "Modality",
    "plane": "Plane",
    "organ": "Organ",
    "presence": "Abnormality",
    "position": "Position",
    "count": "Quantity",
    "size": "Size",
}

_CHINESE_QUESTION = {
    "modality": "这张图像属于哪种检查?",
    "plane": "这张图像是哪个平面?",
    "organ": "图像显示的是哪个部位?",
    "presence": "图像中有没有病灶?",
    "position": "病灶位于图像的哪一侧?",
    "count": "图像中有几个病灶?",
    "size": "心脏是否增大?",
}

_CHINESE_ANSWER = {
    "x-ray": "X光片",
    "mri": "磁共振",
    "pa": "后前位",
    "lateral": "侧位",
    "axial": "横断面",
    "coronal": "冠状面",
    "sagittal": "矢状面",
    "chest": "胸部",
    "abdomen": "腹部",
    "brain": "大脑",
    "left": "左侧",
    "right": "右侧",
    "yes": "有",
    "no": "没有",
}

Row = dict[str, object]


def tree(seed: int) -> Tree:
    """Make the folder: English and Chinese questions on 28 images, split by image within a language only."""
    numbers = range(1, _IMAGES + 1)
    files = {f"Slake1.0/imgs/xmlab{number}/source.jpg": image(seed, number) for number in numbers}
    rows = 0
    for split in ("train", "validate", "test"):
        found: list[Row] = []
        for language, splits in _SPLITS.items():
            for number in splits[split]:
                found += _questions(seed, number, language)
        found = [_ordered(row | {"qid": rows + place}, split, place) for place, row in enumerate(found)]
        files[f"Slake1.0/{split}.json"] = json.dumps(found, ensure_ascii=False).encode()
        rows += len(found)
    return Tree(rows, files)


def hub_tree(seed: int) -> Tree:
    """Make the Hub's folder: the rows of `tree`."""
    original = tree(seed)
    names = {name: name.removeprefix("Slake1.0/") for name in original.files}
    images = {names[name]: content for name, content in original.files.items() if names[name].startswith("imgs/")}
    lists = {names[name]: content for name, content in original.files.items() if name.endswith(".json")}
    lists["validation.json"] = lists.pop("validate.json")
    return Tree(original.rows, {**lists, "imgs.zip": zipped(images)})


def image(seed: int, number: int) -> bytes:
    """Draw an image of the collection and encode it."""
    pixels = drawn(seed, "slake", f"xmlab{number}", shown(seed, number))
    return jpeg(pixels[:16, :16] if number == _TOO_SMALL else pixels)


def shown(seed: int, number: int) -> Scene:
    """Give what an image of the collection shows."""
    return facts(seed, "slake", f"xmlab{number}", ("film",) if number == IN_OMNIMEDVQA else ("film", "ct", "mr"))


def _questions(seed: int, number: int, language: str) -> list[Row]:
    scene = shown(seed, number)
    found = shuffled(stream(seed, "slake", str(number), language), list(asks(scene).values()))
    if language == "zh":
        return [_row(number, scene, "zh", _translated(ask)) for ask in found[:2]]
    rows = [_row(number, scene, "en", ask) for ask in found[:3]]
    if number % 5 == 0:
        rows.append(_knowledge(number, scene))
    if number == _EMPTY_ANSWER:
        rows[0]["answer"] = ""
    return rows


def _translated(ask: Ask) -> Ask:
    answer = {"yes": "是", "no": "否"}.get(ask.answer) if ask.topic == "size" else _CHINESE_ANSWER.get(ask.answer)
    return Ask(ask.topic, _CHINESE_QUESTION[ask.topic], answer or ask.answer.upper(), ask.closed)


def _row(number: int, scene: Scene, language: str, ask: Ask) -> Row:
    answer = ask.answer if language == "zh" else _MODALITY[scene.kind] if ask.topic == "modality" else ask.answer
    return {
        "img_id": number,
        "img_name": f"xmlab{number}/source.jpg",
        "question": ask.question,
        "answer": answer if language == "zh" or ask.topic == "modality" else answer.capitalize(),
        "q_lang": language,
        "location": _LOCATION[scene.organ],
        "modality": _MODALITY[scene.kind],
        "answer_type": "CLOSED" if ask.closed else "OPEN",
        "base_type": "vqa",
        "content_type": _TOPICS[ask.topic],
        "triple": ["vhead", "_", "_"],
    }


def _knowledge(number: int, scene: Scene) -> Row:
    """Ask a question on the knowledge graph, which the picture does not answer."""
    ask = Ask("organ", "What does the organ in this image serve?", _FUNCTION[scene.organ])
    kind = {"base_type": "kvqa", "content_type": "KG", "triple": ["vhead", "function", "ktail"]}
    return _row(number, scene, "en", ask) | kind


def _ordered(row: Row, split: str, place: int) -> Row:
    """Move `content_type` to the end in half of the test rows, as upstream's key order varies there."""
    if split != "test" or place % 2:
        return row
    return {key: value for key, value in row.items() if key != "content_type"} | {"content_type": row["content_type"]}
