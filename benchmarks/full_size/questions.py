"""The collections of questions on images: VQA-RAD, SLAKE, PathVQA, VQA-Med 2019, OmniMedVQA and uBench."""

import json
import zipfile
from collections.abc import Iterator
from multiprocessing.pool import Pool
from pathlib import Path

import pyarrow as pa
from datasets import Features, Image, List, Value

from medmix.curate.sampledata import hub

from .counts import Size, split_places
from .films import FIRST_CXR8
from .pictures import Picture, encode_all
from .texts import Texts

FIRST_PATHVQA, FIRST_MEDPIX, FIRST_SLAKE, FIRST_OMNI, FIRST_UBENCH = (place * 10_000_000 for place in (4, 5, 1, 2, 3))
"""Numbers of the first pictures: `figure` for PathVQA and MedPix, else `small`."""

_ROWS_A_SHARD = 12_000
_DATE = (2020, 1, 1, 0, 0, 0)


def write_vqa_rad(folder: Path, size: Size, pool: Pool) -> None:
    """Write the original layout: 7.1 questions an image, the test images also in train."""
    rows = []
    for place in range(size.rows("vqa_rad")):
        texts, closed = Texts("vqa_rad", place), place % 2 == 0
        row = {"qid": place + 1, "phrase_type": "test_freeform" if place % 5 == 0 else "freeform"}
        row |= {"image_name": f"synpic{int(place / 7.1)}.jpg", "question": texts.question()}
        answer = ("Yes", "No")[texts.number(0, 1)] if closed else texts.word("finding")
        rows.append(row | {"answer": answer, "answer_type": "CLOSED" if closed else "OPEN"})
    (folder / "VQA_RAD Dataset Public.json").write_text(json.dumps(rows))
    _write_medpix(folder / "VQA_RAD Image Folder", range(int((len(rows) - 1) / 7.1) + 1), pool)


def _write_medpix(folder: Path, numbers: range, pool: Pool, quality: int = 0) -> None:
    folder.mkdir(parents=True)
    pictures = (Picture("figure", FIRST_MEDPIX + number, quality) for number in numbers)
    for number, content in zip(numbers, encode_all(pool, pictures), strict=True):
        (folder / f"synpic{number}.jpg").write_bytes(content)


def write_vqa_med_2019(folder: Path, size: Size, pool: Pool) -> None:
    """Write the original layout: four questions an image but one in test; the first images are VQA-RAD's."""
    train, validation, test = (max(1, size.of(count)) for count in (3_200, 500, 500))
    first = 0
    for count, split, name in ((train, "Training", "train"), (validation, "Validation", "val"), (test, "Test", "test")):
        numbers = range(first, first + count)
        first += count
        place = folder / ("VQAMed2019Test" if split == "Test" else f"ImageClef-2019-VQA-Med-{split}")
        images = {"Training": "Train_images", "Validation": "Val_images", "Test": "VQAMed2019_Test_Images"}[split]
        _write_medpix(place / images, numbers, pool, quality=35)
        lines = []
        for number in numbers:
            for category in ("modality", "plane", "organ", "abnormality")[: 1 if split == "Test" else 4]:
                question, answer = _medpix_question(Texts("vqa_med", number, category), category)
                middle = f"{category}|" if split == "Test" else ""
                lines.append(f"synpic{number}|{middle}{question}|{answer}")
        file = "VQAMed2019_Test_Questions_w_Ref_Answers.txt" if split == "Test" else f"All_QA_Pairs_{name}.txt"
        (place / file).write_text("\n".join(lines), encoding="utf-8")


def _medpix_question(texts: Texts, category: str) -> tuple[str, str]:
    if category == "abnormality":
        return "what is the primary abnormality in this image?", f"{texts.word('kind')} {texts.word('finding')}"
    question = {
        "modality": "what modality is shown?",
        "plane": "in what plane is this image?",
        "organ": "what organ is this?",
    }
    return question[category], texts.word({"modality": "image", "plane": "place", "organ": "place"}[category])


def write_slake(folder: Path, size: Size, pool: Pool) -> None:
    """Write the original layout in both languages: 22 questions an image, some films from ChestX-ray8's test."""
    base, rows = folder / "Slake1.0", size.rows("slake")
    for split, places in split_places(rows, {"train": 9_835, "validate": 2_099, "test": 2_094}):
        items = [_slake_row(place) for place in places]
        base.mkdir(exist_ok=True)
        (base / f"{split}.json").write_text(json.dumps(items, ensure_ascii=False), encoding="utf-8")
    images = range((rows - 1) // 22 + 1)
    pictures = (
        Picture("film", FIRST_CXR8 + number, 60, scale=0.5)
        if number % 8 == 3
        else Picture("small", FIRST_SLAKE + number)
        for number in images
    )
    for number, content in zip(images, encode_all(pool, pictures), strict=True):
        path = base / "imgs" / f"xmlab{number}" / "source.jpg"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)


def _slake_row(place: int) -> dict[str, object]:
    texts, chinese = Texts("slake", place), place % 2 == 1
    question = f"图像中的病灶位于第{texts.number(1, 12)}肋的哪一侧?" if chinese else texts.question()
    answer = ("左侧", "右侧")[texts.number(0, 1)] if chinese else texts.word("place").capitalize()
    row: dict[str, object] = {"img_id": place // 22, "img_name": f"xmlab{place // 22}/source.jpg", "qid": place}
    row |= {"question": question, "answer": answer, "q_lang": "zh" if chinese else "en", "location": "Lung"}
    row |= {"modality": "X-Ray", "answer_type": "OPEN", "base_type": "vqa", "content_type": "Position"}
    return row | {"triple": ["vhead", "_", "_"]}


def write_pathvqa(folder: Path, size: Size, pool: Pool) -> None:
    """Write the Hub's parquet, where each of the 7.6 rows of an image repeats its bytes."""
    features = Features({"image": Image(), "question": Value("string"), "answer": Value("string")})
    (folder / "data").mkdir()
    for split, places in split_places(size.rows("pathvqa"), {"train": 19_654, "validation": 6_259, "test": 6_719}):
        numbers = sorted({int(place / 7.6) for place in places})
        pictures = (Picture("figure", FIRST_PATHVQA + number) for number in numbers)
        images = dict(zip(numbers, encode_all(pool, pictures), strict=True))
        shards = max(1, round(len(places) / _ROWS_A_SHARD))
        for shard in range(shards):
            rows = [
                {"image": hub.image(images[int(place / 7.6)]), **_path_question(Texts("pathvqa", place))}
                for place in places[len(places) * shard // shards : len(places) * (shard + 1) // shards]
            ]
            name = f"{split}-{shard:05d}-of-{shards:05d}.parquet"
            (folder / "data" / name).write_bytes(hub.parquet(rows, features))


def _path_question(texts: Texts) -> dict[str, str]:
    question = texts.question()
    closed = question.startswith(("is", "does"))
    return {"question": question, "answer": ("yes", "no")[texts.number(0, 1)] if closed else texts.word("finding")}


_MEMBERS = {
    "RadImageNet": ("CT(Computed Tomography)", 0.68, ".png"),
    "ISIC2018": ("Dermoscopy", 0.12, ".jpg"),
    "Chest X-Ray PA": ("X-Ray", 0.1, ".jpg"),
    "CRC100k": ("Microscopy Images", 0.1, ".jpg"),
}
"""Member set -> modality, its share of the questions, and the format of its images."""


def write_omnimedvqa(folder: Path, size: Size, pool: Pool) -> None:
    """Write one zip: few different questions, nearly each on an image of its own; ISIC's images are HAM10000's."""
    shares = {name: share for name, (_, share, _) in _MEMBERS.items()}
    with zipfile.ZipFile(folder / "OmniMedVQA.zip", "w") as archive:
        for member, places in split_places(size.rows("omnimedvqa"), shares):
            rows = [_omni_row(member, place) for place in places]
            name = f"OmniMedVQA/QA_information/Open-access/{member}.json"
            archive.writestr(zipfile.ZipInfo(name, _DATE), json.dumps(rows))
            numbers = sorted({_omni_image(place) for place in places})
            pictures = (Picture("small", FIRST_OMNI + number, suffix=_MEMBERS[member][2]) for number in numbers)
            for number, content in zip(numbers, encode_all(pool, pictures), strict=True):
                archive.writestr(zipfile.ZipInfo(f"OmniMedVQA/{_omni_path(member, number)}", _DATE), content)


def ham10000_pictures(size: Size) -> Iterator[Picture]:
    """Give the images of HAM10000, of which those of OmniMedVQA's ISIC come first."""
    shares = {name: share for name, (_, share, _) in _MEMBERS.items()}
    places = dict(split_places(size.rows("omnimedvqa"), shares))["ISIC2018"]
    shared = sorted({_omni_image(place) for place in places})
    for number in range(size.items("ham10000")):
        yield Picture("small", FIRST_OMNI + (shared[number] if number < len(shared) // 2 else 5_000_000 + number))


def _omni_image(place: int) -> int:
    """Give the image of a question: twelve questions are on eleven images."""
    return place - place // 12


def _omni_path(member: str, number: int) -> str:
    return f"Images/{member}/{member.lower().replace(' ', '_')}_{number:06d}{_MEMBERS[member][2]}"


def _omni_row(member: str, place: int) -> dict[str, object]:
    texts = Texts("omnimedvqa", place)
    topic = ("What abnormality is shown?", "What modality is used to take this image?", "Which organ is shown?")
    answers = sorted({f"{texts.word('finding')}".capitalize() for _ in range(9)})[:4]
    row: dict[str, object] = {
        "dataset": member,
        "question_id": f"{member}_{place:06d}",
        "gt_answer": answers[place % 4 % len(answers)],
    }
    row |= {"question_type": "Disease Diagnosis", "question": topic[texts.number(0, 2)]}
    row |= {"image_path": _omni_path(member, _omni_image(place)), "modality_type": _MEMBERS[member][0]}
    return row | {f"option_{letter}": answer for letter, answer in zip("ABCD", answers, strict=False)}


_SETS = ("kather_et_al_2018", "acevedo_et_al_2020", "jung_et_al_2022")
_TOPICS = ("domain", "subdomain", "modality", "submodality", "stain", "classification")
_TEXT = Value("string")
_QUESTION = dict.fromkeys(("id", "name", "question", "answer"), _TEXT)
_UBENCH = Features(
    {
        "image": Image(),
        **dict.fromkeys(("image_id", "dataset", "license", "modality", "split"), _TEXT),
        "captions": dict.fromkeys(_TOPICS, _TEXT),
        "questions": {topic: {**_QUESTION, "options": List(_TEXT), "answer_idx": Value("int32")} for topic in _TOPICS},
    }
)


def write_ubench(folder: Path, size: Size, pool: Pool) -> None:
    """Write Arrow shards, with 5.5 questions an image."""
    images = max(1, round(size.rows("ubench") / 5.5))
    pictures = (Picture("small", FIRST_UBENCH + number, suffix=".png") for number in range(images))
    contents, shards = encode_all(pool, pictures), min(7, images)
    place = folder / "perception" / "0.1.0"
    place.mkdir(parents=True)
    for shard in range(shards):
        numbers = range(images * shard // shards, images * (shard + 1) // shards)
        rows = [_ubench_row(number, content) for number, content in zip(numbers, contents, strict=False)]
        table = pa.Table.from_pylist(rows, schema=_UBENCH.arrow_schema)
        path = place / f"ubench-test-{shard:05d}-of-{shards:05d}.arrow"
        with path.open("wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)


def _ubench_row(number: int, content: bytes) -> dict[str, object]:
    texts, dataset = Texts("ubench", number), _SETS[number % len(_SETS)]
    asked = {
        topic: None if topic == "stain" and number % 2 else _ubench_question(texts, topic, number) for topic in _TOPICS
    }
    row: dict[str, object] = {"image_id": f"{dataset}_{number:06d}", "image": {"bytes": content, "path": None}}
    row |= {"dataset": dataset, "modality": "light microscopy", "license": "CC BY 4.0"}
    return row | {"split": "test", "captions": dict.fromkeys(_TOPICS, "A picture."), "questions": asked}


def _ubench_question(texts: Texts, topic: str, number: int) -> dict[str, object]:
    right, *options = texts.options(count=3)
    options.insert(number % 3, right)
    question = {"id": f"{topic}_{number}", "name": topic, "question": f"What {topic} does this image belong to?"}
    return question | {"options": [*options, "none of the above"], "answer": right, "answer_idx": number % 3}
