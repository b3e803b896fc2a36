"""What is written for people never runs: no value of a manifest or a ledger makes an element of a page."""

import json
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest
import yaml

from medmix.curate.describe import cards, croissant, markup, report, templates
from medmix.curate.licences import spdx
from medmix.curate.write import manifest

from ...hostile import HARMLESS, HOSTILE, elements, spoil, structure

DECIDING = {"verdict", "access", "leaks", "conflicts", "panel", "sequence", "overlap", "layout", "kind", "checked"}
"""Keys whose values templates compare or look up, and do not print but from a list of their own."""

COUNTED = ("kept_by_licence", "modalities", "languages", "tasks", "libraries", "dropped_by_reason", "splits")
"""Counts by names that are printed."""


def kept(path: tuple[str, ...]) -> bool:
    if path == ("mixture", "description"):  # may have several lines
        return True
    return path[-1] in DECIDING or path[0] in ("files", "timings", "withheld") or path[-1] in ("split", "change")


def spoiled(document: dict[str, Any], more: str) -> dict[str, Any]:
    def add_names(value: Any) -> Any:
        if isinstance(value, list):
            return [add_names(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        found = {key: add_names(inner) for key, inner in value.items()}
        for name in COUNTED:
            if isinstance(found.get(name), dict) and found[name]:
                found[name] = {**found[name], f"other{more}": next(iter(found[name].values()))}
        return found

    published = {"repo": "a/b", "tag": "v1", "full_records": 9, "gated": True}
    rows = [{"source": "slake", "change": "added", "records": 1, "reason": "a reason"}]
    log = [{"version": "1", "since": "0", "added": 1, "removed": 1, "changed": 1, "sources": rows}]
    withheld = [{"source": "slake", "licence": "x", "verdict": "unclear", "records": 1}]
    whole = {**document, "published": published, "changelog": log, "withheld": withheld}
    found: dict[str, Any] = spoil(add_names(whole), more, kept)
    found["withheld"][0] |= {"source": f"slake{more}", "licence": f"x{more}"}
    return found


@pytest.fixture(scope="module")
def document(mix) -> dict[str, Any]:
    return manifest.read(mix)


def rendered(document: dict[str, Any], more: str) -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patch:  # the Hub's metadata is a list of known names
        patch.setattr(cards, "metadata", lambda manifest, shards: {"pretty_name": manifest["mixture"]["name"]})
        return cards.render(spoiled(document, more))


@pytest.fixture(scope="module")
def harmless(document) -> dict[str, str]:
    return rendered(document, HARMLESS)


@pytest.fixture(params=HOSTILE, scope="module")
def texts(request, document) -> dict[str, str]:
    return rendered(document, HOSTILE[request.param])


def test_no_value_makes_an_element_of_markdown(texts, harmless):
    names = [name for name in texts if name.endswith(".md")]
    assert len(names) > 10
    for name in names:
        assert structure(texts[name]) == structure(harmless[name]), name


def test_no_value_makes_an_element_of_a_plot(texts, harmless):
    names = [name for name in texts if name.endswith(".svg")]
    assert len(names) == 8
    for name in names:
        ElementTree.fromstring(texts[name])
        assert elements(texts[name]) == elements(harmless[name])


def test_values_stay_inside_the_entries_of_bibtex(texts, harmless):
    text = texts[cards.CITATION]
    own = text.split("\n\n")[0]
    assert own.startswith("@misc{")
    assert own.endswith("}")
    assert own.count("{") == own.count("}") == harmless[cards.CITATION].split("\n\n")[0].count("{")
    assert "\\" not in own
    assert len(own.splitlines()) == len(harmless[cards.CITATION].split("\n\n")[0].splitlines())


@pytest.mark.parametrize("more", HOSTILE.values(), ids=HOSTILE)
def test_no_value_makes_an_element_of_the_report(document, tmp_path, more, mix):
    pages = []
    for number, text in enumerate((HARMLESS, more)):
        folder = tmp_path / str(number)
        folder.mkdir()
        rows = pl.read_parquet(mix / "ledger.parquet")
        printed = ("evidence", "relation", "transformation")
        encodable = text.encode("utf-8", "replace").decode()
        rows = rows.with_columns((pl.col(*printed) + encodable), id=pl.col("id") + encodable)
        rows.write_parquet(folder / "ledger.parquet")
        pages.append(report.text(folder, spoiled(document, text)))
    assert elements(pages[0]) == elements(pages[1])
    assert sum(elements(pages[0]).values()) > 200


@pytest.mark.parametrize("more", HOSTILE.values(), ids=HOSTILE)
def test_the_metadata_stays_json(document, more):
    with_names = spoil(document, more, lambda path: kept(path) or path[-1] in ("kept_by_task", "task"))
    found, plain = json.loads(croissant.text(with_names)), json.loads(croissant.text(spoil(document, HARMLESS, kept)))
    assert found.keys() == plain.keys()
    assert len(found["distribution"]) == len(plain["distribution"])


def test_front_matter_is_quoted():
    value = "a\n---\n# b: c\n\n---\n"
    text = str(cards._front_matter({"pretty_name": value, "license": "other"}))
    assert yaml.safe_load(text) == {"pretty_name": value, "license": "other"}
    assert "\n---" not in text


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a_b, 5 - 3, a (b), -0.5, 1.5, C&A, x`y_<z>`", "a_b, 5 - 3, a (b), -0.5, 1.5, C&A, x`y_<z>`"),
        ("*a* _b_ [c](d) <e> f|g ~h~ &lt; \\", r"\*a\* \_b\_ \[c\](d) \<e\> f\|g \~h\~ \&lt; " + "\\\\"),
        ("`a|b` `c", r"`a\|b` \`c"),
        ("\\`a`", r"\\`a`"),
        ("``a`", r"\`\`a\`"),
        ("a\nb\r\n\x00c", "a b c"),
        ("# a", r"\# a"),
        ("- a", r"\- a"),
        ("12. a", r"12\. a"),
        ("---", r"\---"),
    ],
)
def test_a_value_is_one_line_of_text_in_markdown(value, written):
    assert markup.text(value) == written


def test_every_filter_by_place():
    assert markup.lines("a\n# b\n<b>\n") == "a\n\\# b\n\\<b\\>"
    assert markup.code("a`b|c\nd") == "`a'b\\|c d`"
    assert markup.fenced("a\n```\n<b>\n~~~~") == "a\n'''\n<b>\n'''"
    assert markup.quoted('a"); b("\n```') == '"a\\"); b(\\" \'\'\'"'
    assert markup.shell_word("a/b@v1.0") == "a/b@v1.0"
    assert markup.shell_word("a; b") == "'a; b'"
    assert markup.licence_link("CC0-1.0") == "[CC0-1.0](https://creativecommons.org/publicdomain/zero/1.0/)"
    assert markup.licence_link("x](javascript:y)") == "x\\](javascript:y)"
    assert spdx.url("x) <b>") == ""


@pytest.mark.parametrize(
    "entry",
    ['@preamble{"x"}', "@misc{a, title={\\input{/etc/passwd}}}", "@misc{a}}", "text", "@misc{a, t={^^5cinput}}", "@a{"],
)
def test_a_citation_that_is_more_than_an_entry_is_left_out(entry):
    assert markup.citation(entry) == markup.LEFT_OUT


def test_citations_of_the_sources_are_plain_entries(document):
    for entry in document["sources"].values():
        assert markup.citation(entry["facts"]["citation"]) == entry["facts"]["citation"].strip()


def test_templates_of_pages_and_of_markdown_escape_by_themselves():
    value = "<b>*x*"
    assert templates.pages().from_string("<i>{{ value }}</i>").render(value=value) == "<i>&lt;b&gt;*x*</i>"
    assert templates.markdown().from_string("*{{ value }}*").render(value=value) == "*\\<b\\>\\*x\\**"
