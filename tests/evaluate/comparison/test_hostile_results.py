"""What a results file says makes no element of a report, and no path."""

import json
from xml.etree import ElementTree

import pytest

from medmix.curate.errors import UsageError
from medmix.evaluate import formatting
from medmix.evaluate.comparison import forest_plot, rendering, results

from ...hostile import HARMLESS, HOSTILE, elements, spoil, structure
from .conftest import GOLDS, answers

RIGHT = [gold for gold, *_ in GOLDS.values()]


@pytest.mark.parametrize("more", HOSTILE.values(), ids=HOSTILE)
def test_no_value_makes_an_element_of_the_report(tmp_path, more):
    answers(tmp_path / "a", "a", RIGHT)
    answers(tmp_path / "b", "b", RIGHT)
    document = rendering.write_report([tmp_path], tmp_path / "out")
    printed = {**document, "published": []}
    harmless, hostile = (
        rendering.render(spoil(printed, text, lambda path: path[-1] in ("metric", "digest", "models")))
        for text in (HARMLESS, more)
    )
    assert structure(hostile[rendering.MARKDOWN]) == structure(harmless[rendering.MARKDOWN])
    assert elements(hostile[rendering.HTML]) == elements(harmless[rendering.HTML])
    json.loads(hostile[rendering.JSON])


@pytest.mark.parametrize("more", HOSTILE.values(), ids=HOSTILE)
def test_no_value_makes_an_element_of_a_plot_or_a_table(more):
    line = {"name": f"m{more}", "value": 0.5, "low": 0.4, "high": 0.6, "controls": {f"c{more}": 0.1}}
    ElementTree.fromstring(forest_plot.draw(f"t{more}", [{"title": f"r{more}", "lines": [line]}], [f"m{more}"]))
    tables = [
        formatting.markdown_table([f"a{text}", "b"], [[f"c{text}", formatting.with_interval(line)]], 1)
        for text in (HARMLESS, more)
    ]
    assert structure(tables[0]) == structure(tables[1])
    assert structure(formatting.bulleted_section("Notes", [f"a{more}"])[-1]) == ["- "]


@pytest.mark.parametrize("name", ["../predictions.jsonl", "/etc/passwd", "..", "a/b.jsonl", "", None, 5, "a\x00"])
def test_predictions_lie_beside_their_results(tmp_path, name):
    file = answers(tmp_path / "a", "a", RIGHT)
    document = json.loads(file.read_text())
    document["files"]["predictions"] = name
    file.write_text(json.dumps(document))
    with pytest.raises(UsageError, match="is no name of a file beside it"):
        results.read(file)
