"""PubMedQA (Jin et al. 2019): a question on an abstract, answered yes, no or maybe.

Original: `ori_pqal.json` (labelled), `ori_pqaa.json` (artificial) and `ori_pqau.json` (unlabelled), objects keyed
by PMID, as in https://github.com/pubmedqa/pubmedqa. Hub: a folder of parquet for each of the three, as in
https://huggingface.co/datasets/qiaojin/PubMedQA. Neither marks the 500 labelled test items: they are those of
`test_ground_truth.json`. Without that file all labelled items count as test, so that no test item gets into
training.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from .. import tables
from ..errors import RowError
from ..record import Record, Rejected
from . import Layout, Shard, _hub, make_records

SOURCE = "pubmedqa"
_FILES = ("ori_pqal.json", "ori_pqaa.json", "ori_pqau.json")
_FOLDERS = ("pqa_labeled", "pqa_artificial", "pqa_unlabeled")
_LABELLED = ("ori_pqal", "pqa_labeled")
_UNLABELLED = ("ori_pqau", "pqa_unlabeled")
_TRUTH = ("data/test_ground_truth.json", "test_ground_truth.json")
_DECISIONS = ("yes", "no", "maybe")


def _original_shards(root: Path) -> list[Shard]:
    for folder in ("data/", ""):
        found = [_shard(root, f"{folder}{name}") for name in _FILES if (root / f"{folder}{name}").exists()]
        if found:
            return found
    return []


def _hub_shards(root: Path) -> list[Shard]:
    found = [shard for name in _FOLDERS for shard in _hub.shards(root, (name, f"*/{name}"))]
    return [_shard(root, shard.files[0]) for shard in found]


def _shard(root: Path, file: str) -> Shard:
    truth = next((name for name in _TRUTH if (root / name).exists()), None)
    if not _is_one_of(file, _LABELLED):
        return Shard((file,), "train")
    return Shard((file, truth)) if truth else Shard((file,), "test")


def _notes(root: Path) -> list[str]:
    labelled = any(shard.split == "test" for shard in (*_original_shards(root), *_hub_shards(root)))
    without = "without test_ground_truth.json all labelled rows count as test and none is trained on"
    return [f"{without}; the file is in data/ of github.com/pubmedqa/pubmedqa"] if labelled else []


def _is_one_of(file: str, names: tuple[str, ...]) -> bool:
    return any(name in file for name in names)


def _test_pmids(root: Path, shard: Shard) -> frozenset[str]:
    return frozenset(pmid for file in shard.files[1:] for _, pmid, _ in tables.json_items(root / file))


def _read_original(root: Path, shard: Shard) -> Iterator[Record | Rejected]:
    rows = ((row, (pmid, item)) for row, pmid, item in tables.json_items(root / shard.files[0]))
    return make_records(SOURCE, shard, rows, partial(_original_record, shard, _test_pmids(root, shard)))


def _original_record(shard: Shard, test: frozenset[str], row: int, value: tuple[str, Any]) -> Record:
    pmid, item = value
    question = tables.field(item, "QUESTION", str)
    contexts = tables.field(item, "CONTEXTS", list)
    return _record(shard, test, row, pmid, item, question, contexts, tables.field(item, "LONG_ANSWER", str))


def _read_hub(root: Path, shard: Shard) -> Iterator[Record | Rejected]:
    columns = ("pubid", "question", "context.contexts", "long_answer")
    rows = tables.parquet_rows(root / shard.files[0], columns, optional=("final_decision",))
    # the three folders call their files by the same names
    make = partial(_hub_record, shard, _test_pmids(root, shard))
    return make_records(SOURCE, shard, rows, make, stem=shard.files[0].removesuffix(".parquet"))


def _hub_record(shard: Shard, test: frozenset[str], row: int, item: dict[str, Any]) -> Record:
    pmid = str(tables.field(item, "pubid", int))
    question = tables.field(item, "question", str)
    contexts = tables.field(tables.field(item, "context", dict), "contexts", list)
    return _record(shard, test, row, pmid, item, question, contexts, tables.field(item, "long_answer", str))


def _decision(shard: Shard, item: Any) -> str:
    """Give the decision, or "" for the unlabelled part, which has none."""
    if _is_one_of(shard.files[0], _UNLABELLED):
        return ""
    decision = tables.field(item, "final_decision", str)
    if decision not in _DECISIONS:
        raise RowError("unparsable-row", f"field 'final_decision' is {decision!r}, expected {', '.join(_DECISIONS)}")
    return decision


def _record(
    shard: Shard,
    test: frozenset[str],
    row: int,
    pmid: str,
    item: Any,
    question: str,
    contexts: list[Any],
    conclusion: str,
) -> Record:
    decision = _decision(shard, item)
    if not all(isinstance(context, str) for context in contexts):
        raise RowError("unparsable-row", "the contexts are not all texts")
    return Record(
        source=SOURCE,
        key=pmid,
        split=shard.split or ("test" if pmid in test else "train"),
        task="qa",
        file=shard.files[0],
        row=row,
        group=f"pubmed/{pmid}",
        question=question,
        context="\n\n".join(contexts),
        answer=decision or conclusion,
        answer_type="closed" if decision else "open",
        explanation=conclusion if decision else "",
        attribution=f"PMID {pmid}",
    )


LAYOUTS = (
    Layout(
        "original", "data/ori_pqal.json, data/test_ground_truth.json", _original_shards, _read_original, notes=_notes
    ),
    Layout("hub", "pqa_labeled/train-*.parquet", _hub_shards, _read_hub, notes=_notes),
)
