"""What users of a gated mix are asked: the terms of every gate, and the questions of the mixture."""

import pytest
import yaml

from medmix.curate import mixtures
from medmix.curate.describe.card_metadata import GATE, metadata
from medmix.curate.errors import UsageError

FIELDS = {"Institution": "text", "Country": "country", "I train no model to identify people: never": "checkbox"}


def document(is_gated: bool, **gate: object) -> dict[str, object]:
    """Give the manifest of an empty published mix."""
    return {
        "mixture": {"name": "films", "version": "1.0.0"},
        "settings": {"mixture": {"gate": gate} if gate else {}},
        "published": {"gated": is_gated},
        "sources": {},
        "files": {},
    }


def test_questions_of_the_mixture_stand_in_the_card_as_the_hub_reads_them():
    head = metadata(document(True, prompt=" Write to jo@example.org. ", fields=FIELDS), ())
    assert head["extra_gated_prompt"] == f"{GATE} Write to jo@example.org."
    assert yaml.safe_load(yaml.safe_dump(head))["extra_gated_fields"] == FIELDS


def test_a_gate_without_questions_has_only_its_terms():
    for head in (metadata(document(True), ()), metadata(document(True, prompt="", fields={}), ())):
        assert head["extra_gated_prompt"] == GATE
        assert "extra_gated_fields" not in head


def test_an_open_mix_asks_nothing():
    assert not [key for key in metadata(document(False, prompt="p", fields=FIELDS), ()) if key.startswith("extra")]


@pytest.mark.parametrize(
    ("gate", "policy", "line"),
    [
        ("{fields: {Country: state}}", "", "gate.fields.Country: must be one of text, checkbox, country, date_picker"),
        ("{fields: {' ': text}}", "", "gate.fields: each question must be one line of text"),
        ('{fields: {"a\\nb": text}}', "", "gate.fields: each question must be one line of text"),
        (
            "{prompt: p}",
            "licence_policy: {use: commercial}",
            "gate: only mixes with `use: research` have one; leave it out",
        ),
        ("{question: p}", "", "gate.question"),
    ],
)
def test_gates_that_cannot_be(tmp_path, gate, policy, line):
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\nversion: 1.0.0\ndescription: d\nsources: {{slake: {{}}}}\ngate: {gate}\n{policy}\n")
    with pytest.raises(UsageError) as error:
        mixtures.load(str(path))
    assert line in str(error.value)


def test_a_gate_of_a_mixture(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "{name: mine, version: 1.0.0, description: d, sources: {slake: {}}, "
        "gate: {prompt: p, fields: {Country: country}}}"
    )
    gate = mixtures.load(str(path)).gate
    assert (gate.prompt, gate.fields) == ("p", {"Country": "country"})
