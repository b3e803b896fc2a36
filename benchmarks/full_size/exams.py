"""MedQA, MedMCQA and PubMedQA: texts without images, a few of train equal to a test question."""

import json
import uuid
from collections.abc import Iterable
from pathlib import Path

from .counts import Size, split_places
from .texts import Texts

_LEAKED_EVERY = 400
"""Of so many train questions one is a test question in capitals."""


def write_medqa(folder: Path, size: Size) -> None:
    """Write the files with four options."""
    splits = split_places(size.rows("medqa"), {"train": 10_178, "dev": 1_272, "test": 1_273})
    test = splits[-1][1]
    for split, places in splits:
        rows = []
        for place in places:
            leaked = split == "train" and place % _LEAKED_EVERY == 1 and bool(test)
            texts = Texts("medqa", test[place % len(test)] if leaked else place)
            question, (right, *options) = texts.vignette(), texts.options()
            options.insert(place % 4, right)
            row = {
                "question": question.upper() if leaked else question,
                "answer": right,
                "answer_idx": "ABCD"[place % 4],
            }
            rows.append(row | {"options": dict(zip("ABCD", options, strict=True)), "meta_info": "step1"})
        path = folder / f"data_clean/questions/US/4_options/phrases_no_exclude_{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_lines(path, rows)


def write_medmcqa(folder: Path, size: Size) -> None:
    """Write the three files; test has no answers."""
    for split, places in split_places(size.rows("medmcqa"), {"train": 182_822, "dev": 4_183, "test": 6_150}):
        rows = []
        for place in places:
            texts = Texts("medmcqa", place)
            question, (right, *options) = texts.exam(), texts.options()
            options.insert(place % 4, right)
            row = {"question": question, **dict(zip(("opa", "opb", "opc", "opd"), options, strict=True))}
            row |= {"id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"medmcqa/{place}")), "choice_type": "single"}
            row |= {"subject_name": "Medicine", "topic_name": None}
            rows.append(row if split == "test" else row | {"cop": place % 4 + 1, "exp": texts.sentence()})
        (folder / "data").mkdir(exist_ok=True)
        _write_lines(folder / "data" / f"{split}.json", rows)


def write_pubmedqa(folder: Path, size: Size) -> None:
    """Write the labelled, the artificial and the unlabelled part, and the answers of the test items."""
    (folder / "data").mkdir()
    shares = {"ori_pqal": 1_000, "ori_pqaa": 211_269, "ori_pqau": 61_249}
    for name, places in split_places(size.rows("pubmedqa"), shares):
        items = {str(10_000_000 + place): _study(place, name) for place in places}
        (folder / "data" / f"{name}.json").write_text(json.dumps(items))
        if name == "ori_pqal":
            truth = {key: item["final_decision"] for key, item in list(items.items())[::2]}
            (folder / "data" / "test_ground_truth.json").write_text(json.dumps(truth))


def _study(place: int, name: str) -> dict[str, object]:
    texts = Texts("pubmedqa", place)
    item: dict[str, object] = {"QUESTION": texts.study(), "CONTEXTS": texts.abstract(), "LONG_ANSWER": texts.sentence()}
    item |= {"LABELS": ["BACKGROUND", "METHODS", "RESULTS"], "MESHES": ["Humans"]}
    return item if name == "ori_pqau" else item | {"final_decision": "yes" if texts.number(0, 2) else "no"}


def _write_lines(path: Path, rows: Iterable[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
