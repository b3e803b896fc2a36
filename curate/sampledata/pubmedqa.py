"""PubMedQA: JSON objects keyed by PMID, and the labels of the test half."""

import json

import numpy as np

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

Item = dict[str, object]


def tree(seed: int) -> Tree:
    """Make the folder: 60 labelled abstracts, 20 of them test, and 40 with machine-made labels."""
    labelled = {str(_FIRST_PMID + place): _item(seed, place) for place in range(_LABELLED)}
    artificial = {str(_FIRST_PMID + place): _item(seed, place) for place in range(_LABELLED, _LABELLED + _ARTIFICIAL)}
    for item in artificial.values():
        del item["YEAR"], item["reasoning_required_pred"], item["reasoning_free_pred"]
    test = shuffled(stream(seed, "pubmedqa", "split"), list(labelled))[:_TEST]
    contents = {
        "ori_pqal": labelled,
        "ori_pqaa": artificial,
        "test_ground_truth": {pmid: labelled[pmid]["final_decision"] for pmid in test},
    }
    files = {f"data/{name}.json": json.dumps(content, indent=4).encode() for name, content in contents.items()}
    return Tree(len(labelled) + len(artificial), files)


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
