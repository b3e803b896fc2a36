"""The rules of a mixture for duplicates, repeats and leaks, and the errors of wrong ones."""

import pytest

from medmix.curate import mixtures
from medmix.curate.errors import UsageError
from medmix.curate.mixture import CopyRule, CopyRules, DuplicateCopyRule, DuplicateRule, EvaluationSet, RepeatRule

PLAIN = "name: m\nversion: 1.0.0\ndescription: d\nsources:\n  medqa: {}\n"


def load(folder, text):
    (folder / "m.yaml").write_text(PLAIN + text)
    return mixtures.load(str(folder / "m.yaml"))


def test_the_mixture_sets_the_rules_for_leaks_contradictions_and_repeats(tmp_path):
    loaded = load(
        tmp_path,
        "duplicates: {text: 0.9, contradictions: drop}\nrepeats: {reports: 3}\nconflicts: report\n"
        "evaluation: [{source: medqa, leaks: report}, {source: medqa, split: validation, group: true}]\n",
    )
    assert loaded.duplicates == DuplicateRule(text=0.9, contradictions="drop")
    assert loaded.repeats == RepeatRule(reports=3)
    assert (loaded.conflicts, loaded.temperature) == ("report", 1.0)
    assert loaded.evaluation == (
        EvaluationSet("medqa", "test", leaks="report"),
        EvaluationSet("medqa", "validation", group=True),
    )


def test_the_mixture_says_which_related_images_count_as_copies_and_what_it_does_not_say_stays(tmp_path):
    assert load(tmp_path, "").copies == CopyRules(
        leaks=CopyRule(panel="drop", overlap=0.5, sequence="keep"),
        duplicates=DuplicateCopyRule(panel="keep", overlap="keep", sequence="keep"),
    )
    changed = load(tmp_path, "copies: {leaks: {overlap: keep, sequence: drop}, duplicates: {overlap: 1}}\n").copies
    assert changed == CopyRules(
        leaks=CopyRule(panel="drop", overlap="keep", sequence="drop"),
        duplicates=DuplicateCopyRule(panel="keep", overlap=1.0, sequence="keep"),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("copies: {leaks: {overlap: 0}}\n", "m.yaml: copies.leaks.overlap: must be above 0 and at most 1, or keep"),
        (
            "copies: {duplicates: {overlap: 1.1}}\n",
            "m.yaml: copies.duplicates.overlap: must be above 0 and at most 1, or keep",
        ),
        (
            "copies: {leaks: {overlap: kep}}\n",
            r"m.yaml: copies.leaks.overlap: must be a number or keep, is 'kep' \(did you mean 'keep'\?\)",
        ),
        ("copies: {leaks: {overlap: true}}\n", "m.yaml: copies.leaks.overlap: must be a number or keep, is True"),
        ("copies: {leaks: {panel: 0.5}}\n", "m.yaml: copies.leaks.panel: must be one of drop, keep, is 0.5"),
        (
            "copies: {leaks: {panels: drop}}\n",
            r"m.yaml: copies.leaks.panels: unknown key \(did you mean 'panel'\?\)",
        ),
        ("copies: {leak: {}}\n", r"m.yaml: copies.leak: unknown key \(did you mean 'leaks'\?\)"),
        ("duplicates: {text: 0.7}\n", "m.yaml: duplicates.text: must lie between 0.8 and 1"),
        ("duplicates: {texts: 0.9}\n", r"m.yaml: duplicates.texts: unknown key \(did you mean 'text'\?\)"),
        ("temperature: 0.5\n", "m.yaml: temperature: must be 1 or more"),
        ("temperatur: 2\n", r"m.yaml: temperatur: unknown key \(did you mean 'temperature'\?\)"),
        ("repeats: {reports: 0}\n", "m.yaml: repeats.reports: must be 1 or more"),
        (
            "evaluation: [{source: medqa, leaks: report, group: true}]\n",
            "m.yaml: evaluation: medqa test has `group: true`, which needs `leaks: drop`",
        ),
        (
            "evaluation: [{images: busi, listing: {files: a}}]\n",
            r"m.yaml: evaluation\[0\].listing: is now called 'file_filter'",
        ),
        ("seed: 1\nsplits: {holdout: 2}\n", "m.yaml: splits.holdout: must lie between 0 and 1"),
    ],
)
def test_a_wrong_rule_is_an_error_in_one_line(tmp_path, text, problem):
    with pytest.raises(UsageError, match=f"^{problem}$"):
        load(tmp_path, text)


def test_as_published_differs_from_v1_in_nothing_but_leaks_and_conflicts():
    clean, published = mixtures.load("v1"), mixtures.load("v1-as-published")
    assert published.sources == clean.sources
    assert [(item.source, item.split) for item in published.evaluation] == [
        (item.source, item.split) for item in clean.evaluation
    ]
    assert {item.leaks for item in published.evaluation} == {"report"}
    assert (published.conflicts, clean.conflicts) == ("report", "drop")
