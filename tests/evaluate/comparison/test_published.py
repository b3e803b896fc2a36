from pathlib import Path

import pytest

from medmix.curate.errors import UsageError
from medmix.evaluate.answers.benchmarks import SPLITS
from medmix.evaluate.comparison import published

NUMBER = (
    "{model: m, dataset: s, metric: BLEU-1, value: 70.3, max_value: 100, protocol: p, evidence: read, differences: [d]}"
)


def test_the_numbers_that_come_with_medmix() -> None:
    papers = published.load_all()
    assert [paper.id for paper in papers] == ["openmedq", "vqa_med_2019"]
    numbers = {(n.model, n.dataset): n for paper in papers for n in paper.numbers}
    assert numbers["OpenMedQ 7B", "PathVQA"].fraction == 0.759
    assert numbers["prefix tuning", "PathVQA"].comparable == published.ComparableScore(
        "pathvqa", "open", "bleu1_prefix_tuning_char"
    )
    assert numbers["from scratch", "mean of eight classification sets"].comparable is None
    assert {n.comparable.benchmark for n in numbers.values() if n.comparable} <= {*SPLITS, "busi"}


def test_all_problems_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "id: yours\npaper: p\nconsulted: r\nnumbers:\n"
        f"  - {NUMBER.replace('70.3', '170.3').replace('[d]', '[]')}\n"
        f"  - {NUMBER[:-1]}, comparable: {{benchmark: b, subset: all, metric: exact_mach}}}}\n"
    )
    with pytest.raises(UsageError) as refused:
        published.load(path)
    assert str(refused.value) == (
        "mine.yaml: id: is 'yours', but the file is called 'mine'; "
        "mine.yaml: numbers[0].value: 170.3 is not between 0 and 100; "
        "mine.yaml: numbers[0].differences: describe how its protocol differs from ours, or that it is not stated; "
        "mine.yaml: numbers[1].comparable.metric: no metric 'exact_mach' (did you mean 'exact_match'?)"
    )


def test_a_mistyped_key_is_met_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"id: mine\npaper: p\nconsulted: r\nnumbers: [{NUMBER.replace('evidence', 'evidense')}]\n")
    with pytest.raises(UsageError, match=r"numbers\[0\].evidense: unknown key \(did you mean 'evidence'\?\)"):
        published.load(path)


@pytest.mark.parametrize(
    ("old", "new"), [("set", "dataset"), ("of", "max_value"), ("beside", "comparable"), ("differs", "differences")]
)
def test_a_renamed_key_is_an_error_that_names_the_new_one(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"id: mine\npaper: p\nconsulted: r\nnumbers: [{NUMBER[:-1]}, {old}: x}}]\n")
    with pytest.raises(UsageError, match=rf"numbers\[0\].{old}: is now called '{new}'"):
        published.load(path)
    path.write_text(f"id: mine\npaper: p\nread: r\nnumbers: [{NUMBER}]\n")
    with pytest.raises(UsageError, match=r"mine\.yaml: read: is now called 'consulted'"):
        published.load(path)
