"""VQA-RAD.

Original, as on OSF: one JSON list and a folder of JPEGs. Repacked: a list a split, rephrased questions as rows of
their own, all answers texts. Hub: parquet without ids and names of images.
"""

import json
import uuid

from . import hub, medpix
from .faults import CLIMBING_NAME, rotated_jpeg
from .files import Tree, jpeg
from .phrases import Ask, asks
from .seeds import shuffled, stream

_ROTATED = 9000010

_ORGAN = {"chest": "CHEST", "abdomen": "ABD", "brain": "HEAD"}

_TYPE = {
    "modality": "MODALITY",
    "plane": "PLANE",
    "organ": "ORGAN",
    "presence": "PRES",
    "position": "POS, PRES",
    "count": "COUNT",
    "size": "SIZE",
}

_REPACKED = (
    "qid",
    "image_name",
    "image_organ",
    "answer",
    "answer_type",
    "question_type",
    "question",
    "phrase_type",
)

Row = dict[str, object]


def tree(seed: int) -> Tree:
    """Make the folder: about 90 train and 30 test questions on 39 images."""
    rows = _rows(seed)
    files = {f"VQA_RAD Image Folder/{name}": content for name, content in _images(seed).items()}
    files["VQA_RAD Dataset Public.json"] = json.dumps(rows, indent=2).encode()
    return Tree(len(rows), files)


def repacked_tree(seed: int) -> Tree:
    """Make the re-packing's folder: the rows of `tree`, and the rephrased training questions as well."""
    rows = [row | {"answer": str(row["answer"]), "qid": int(str(row["qid"]))} for row in _rows(seed)]
    splits = {"train": [row for row in rows if not _for_test(row)], "test": [row for row in rows if _for_test(row)]}
    rephrased = [row for row in splits["train"] if row.get("question_rephrase", "NULL") != "NULL"]
    splits["train"] += [
        row | {"qid": len(rows) + place, "question": row["question_rephrase"], "phrase_type": "frame"}
        for place, row in enumerate(rephrased, 1)
    ]
    files = {f"data_RAD/images/{name}": content for name, content in _images(seed).items()}
    for split, found in splits.items():
        kept = [{key: row[key] for key in _REPACKED} for row in found]
        for row in kept:
            row["phrase_type"] = str(row["phrase_type"]).removeprefix("test_")
        files[f"data_RAD/{split}set.json"] = json.dumps(kept).encode()
    return Tree(sum(map(len, splits.values())), files)


def hub_tree(seed: int) -> Tree:
    """Make the Hub's folder: the rows of `tree` whose image is there, as image, question and answer alone."""
    images = {name: hub.image(content) for name, content in _images(seed).items()}
    splits: dict[str, list[hub.Row]] = {"train": [], "test": []}
    for row in _rows(seed):
        if row["image_name"] in images:
            image, answer = images[str(row["image_name"])], str(row["answer"])
            cells = {"image": image, "question": row["question"], "answer": answer}
            splits["test" if _for_test(row) else "train"].append(cells)
    return Tree(sum(map(len, splits.values())), hub.shards(splits, hub.QUESTIONS))


def _for_test(row: Row) -> bool:
    return str(row["phrase_type"]).startswith("test_")


def _numbers() -> tuple[int, ...]:
    return (*medpix.RAD_TRAIN, *medpix.RAD_BOTH, *medpix.RAD_TEST)


def _images(seed: int) -> dict[str, bytes]:
    return {
        f"{medpix.name(number)}.jpg": (rotated_jpeg if number == _ROTATED else jpeg)(
            medpix.picture(seed, number).pixels
        )
        for number in _numbers()
    }


def _rows(seed: int) -> list[Row]:
    rows: list[Row] = []
    for number in _numbers():
        scene = medpix.shown(seed, number)
        rng = stream(seed, "vqa_rad", str(number))
        # the plane leads: it is the question that VQA-Med asks of the shared images in the same words
        rest = [ask for topic, ask in asks(scene).items() if topic != "plane"]
        for place, ask in enumerate([_worded(asks(scene)["plane"]), *shuffled(rng, rest)][:4]):
            for_test = place >= 2 if number in medpix.RAD_BOTH else number in medpix.RAD_TEST
            if place < 3 or number in medpix.RAD_BOTH:
                rows.append(_row(len(rows), number, _ORGAN[scene.organ], ask, for_test))
    _spoil(rows)
    return rows


def _worded(plane: Ask) -> Ask:
    return Ask(plane.topic, plane.question.lower(), plane.answer)


def _row(place: int, number: int, organ: str, ask: Ask, for_test: bool) -> Row:
    phrase = "para" if place % 3 == 2 else "freeform"
    case = uuid.uuid5(uuid.NAMESPACE_URL, f"{medpix.name(number)}/{place}")
    return {
        "qid": place + 1,
        "phrase_type": f"test_{phrase}" if for_test else phrase,
        "qid_linked_id": str(case),
        "image_case_url": f"https://medpix.example/case?id={case}",
        "image_name": f"{medpix.name(number)}.jpg",
        "image_organ": organ,
        "evaluation": "evaluated" if place % 2 else "not evaluated",
        "question": ask.question,
        "question_rephrase": f"{ask.question} Answer briefly." if phrase == "freeform" else "NULL",
        "question_relation": "strict agreement" if phrase == "freeform" else "NULL",
        "question_frame": "NULL",
        "question_type": _TYPE[ask.topic],
        "answer": ask.answer.capitalize() if ask.closed and place % 4 == 0 else ask.answer,
        "answer_type": "CLOSED" if ask.closed else "OPEN",
    }


def _spoil(rows: list[Row]) -> None:
    """Put upstream's own oddities in: types that differ from row to row, blanks, typing errors."""
    rows[4]["qid"] = str(rows[4]["qid"])
    del rows[6]["question_rephrase"], rows[9]["question_rephrase"]
    for row in [row for row in rows if row["answer_type"] == "CLOSED"][:2]:
        row["answer_type"] = "CLOSED "
    for row in [row for row in rows if row["question_type"] == "PRES"][:2]:
        row["question_type"] = "PRSE"
    for row in [row for row in rows if row["question_type"] == "COUNT"]:
        row["answer"] = int(str(row["answer"]))
    tabbed = next(row for row in rows if row["question_type"] == "POS, PRES")
    tabbed["answer"] = f"{tabbed['answer']}\tside of the image"
    climbing = dict(rows[0], qid=len(rows) + 1, image_name=CLIMBING_NAME, phrase_type="freeform")
    rows.append(climbing)
