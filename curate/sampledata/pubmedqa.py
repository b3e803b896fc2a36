"""PubMedQA, with the labels of the test half.

Original: JSON objects keyed by PMID. Hub: a folder of parquet a part, each with nothing but `train`, the test items
among the others; the list of the test items is beside it, where the reader expects it.
"""

import json

import numpy as np
from datasets import Features, List, Value

from . import hub
from .exams import CONDITIONS
from .files import Tree
from .seeds import pick, shuffled, stream

_FIRST_PMID = 99000001
_LABELLED = 60
_TEST = 20
_ARTIFICIAL = 40
_GROUPS = (
    "adults",
    "older patients",
    "outpatients",
    "patients in rural clinics",
    "first-time visitors",
    "smokers",
    "pregnant women",
    "frequent travellers",
    "night-shift workers",
)
_HEADINGS = (
    ("BACKGROUND", "METHODS", "RESULTS"),
    ("OBJECTIVE", "DESIGN", "RESULTS"),
    ("PURPOSE", "METHODS", "RESULTS"),
)

_CONTEXT = dict.fromkeys(("contexts", "labels", "meshes"), List(Value("string")))
_HUB = {
    "pubid": Value("int32"),
    "question": Value("string"),
    "context": _CONTEXT,
    "long_answer": Value("string"),
    "final_decision": Value("string"),
}
_REASONING = dict.fromkeys(("reasoning_required_pred", "reasoning_free_pred"), Value("string"))

Item = dict[str, object]


def tree(seed: int) -> Tree:
    """Make the folder: 60 labelled abstracts, 20 of them test, and 40 with machine-made labels."""
    labelled, artificial = _items(seed, range(_LABELLED)), _artificial(seed)
    contents = {"ori_pqal": labelled, "ori_pqaa": artificial, "test_ground_truth": _truth(seed, labelled)}
    files = {f"data/{name}.json": json.dumps(content, indent=4).encode() for name, content in contents.items()}
    return Tree(len(labelled) + len(artificial), files)


def hub_tree(seed: int) -> Tree:
    """Make the Hub's folder: the items of `tree`."""
    labelled, artificial = _items(seed, range(_LABELLED)), _artificial(seed)
    rows = [_hub_row(pmid, item) for pmid, item in labelled.items()]
    files = hub.shards({"train": rows}, Features({**_HUB, **_REASONING}), "pqa_labeled")
    rows = [_hub_row(pmid, item) for pmid, item in artificial.items()]
    files |= hub.shards({"train": rows}, Features(_HUB), "pqa_artificial")
    files["test_ground_truth.json"] = json.dumps(_truth(seed, labelled)).encode()
    return Tree(len(labelled) + len(artificial), files)


def _items(seed: int, places: range) -> dict[str, Item]:
    return {str(_FIRST_PMID + place): _item(seed, place) for place in places}


def _artificial(seed: int) -> dict[str, Item]:
    items = _items(seed, range(_LABELLED, _LABELLED + _ARTIFICIAL))
    for item in items.values():
        del item["YEAR"], item["reasoning_required_pred"], item["reasoning_free_pred"]
    return items


def _truth(seed: int, labelled: dict[str, Item]) -> Item:
    test = shuffled(stream(seed, "pubmedqa", "split"), list(labelled))[:_TEST]
    return {pmid: labelled[pmid]["final_decision"] for pmid in test}


def _hub_row(pmid: str, item: Item) -> Item:
    context = {"contexts": item["CONTEXTS"], "labels": item["LABELS"], "meshes": item["MESHES"]}
    row: Item = {"pubid": int(pmid), "question": item["QUESTION"], "context": context}
    row |= {"long_answer": item["LONG_ANSWER"], "final_decision": item["final_decision"]}
    return row | {name: item[name] for name in _REASONING if name in item}


def _item(seed: int, place: int) -> Item:
    rng = stream(seed, "pubmedqa", str(place))
    disease = CONDITIONS[place % len(CONDITIONS)]
    rival = pick(rng, [other for other in CONDITIONS if other is not disease]).treatment
    people, number = _GROUPS[place // len(CONDITIONS)], int(rng.integers(40, 900))
    new, old, decision = _outcome(rng, certain=place >= _LABELLED)
    claim = f"{disease.treatment} works better than {rival} in {people} with {disease.name}"
    found = {"yes": f"The trial shows that {claim}.", "no": f"We could not show that {claim}."}
    return {
        "QUESTION": f"Does {disease.treatment} work better than {rival} in {people} with {disease.name}?",
        "CONTEXTS": [
            f"It is not known whether {claim}.",
            f"We studied {number} {people} who came with {disease.complaint}. Half of them received {rival}.",
            f"Of those who received {disease.treatment}, {new}% recovered, against {old}% with {rival}.",
        ],
        "LABELS": list(_HEADINGS[place % len(_HEADINGS)]),
        "MESHES": [disease.name.capitalize(), "Humans", "Treatment Outcome"],
        "YEAR": None if place % 9 == 4 else str(1998 + place % 20),
        "reasoning_required_pred": decision,
        "reasoning_free_pred": decision,
        "final_decision": decision,
        "LONG_ANSWER": found.get(decision, "The difference was too small for a firm conclusion."),
    }


def _outcome(rng: np.random.Generator, *, certain: bool) -> tuple[int, int, str]:
    """Give recovery in percent of both arms and what follows; machine-made labels are never `maybe`."""
    decision = pick(rng, ("yes", "yes", "no") if certain else ("yes", "yes", "no", "maybe"))
    old = int(rng.integers(40, 60))
    return old + {"yes": 25, "no": -20, "maybe": 1}[decision], old, decision
