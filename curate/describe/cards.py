"""The texts of a mix that people read; every number in them comes from the manifest, and so from the run."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import jinja2
import yaml

from ..licences import spdx
from ..record import REASONS, SPLITS
from ..shards import replacing, write_text
from ..sources import layouts
from ..write.manifest import README, shards_of
from . import attribution
from .card_header import header
from .plots import PLOTS, bars, largest_first, united

ATTRIBUTION = "ATTRIBUTION.md"
CITATION = "CITATION.bib"
LICENSE = "LICENSE.md"
DATASHEET = "datasheet.md"


def write(mix: Path, document: Mapping[str, Any]) -> list[str]:
    """Write the cards of a mix from its manifest and shards; give their names."""
    texts = render(document)
    for name, text in texts.items():
        write_text(mix / name, text)
    with replacing(mix / ATTRIBUTION) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as handle:
        handle.writelines(attribution.lines(mix, document))
    return [*texts, ATTRIBUTION]


def render(document: Mapping[str, Any]) -> dict[str, str]:
    """Give the text of every card but the attribution, by its path in the mix; a pure function of the manifest.

    The manifest must hold `statistics`, and `files` at least of the shards.
    """
    environment = templates()
    context = _context(document)
    context |= {name: sentences(f"{name}.jinja", document) for name in ("biases", "limitations")}
    texts = {
        README: environment.get_template("README.md.jinja").render(context),
        LICENSE: environment.get_template("LICENSE.md.jinja").render(context),
        CITATION: environment.get_template("CITATION.bib.jinja").render(context),
        DATASHEET: _datasheet(environment, "answers_mix.jinja", context),
    }
    for source, entry in context["sources"].items():
        own = {**context, "source": source, "entry": entry, "facts": entry["facts"]}
        texts[f"datasheets/{source}.md"] = _datasheet(environment, "answers_source.jinja", own)
    for name, plot in PLOTS.items():
        drawn = bars(plot.rows(context["manifest"]))
        texts[f"plots/{name}.svg"] = environment.get_template("bars.svg.jinja").render(title=plot.title, bars=drawn)
    return texts


def sentences(template: str, document: Mapping[str, Any]) -> list[str]:
    """Give the sentences of a template that has one a line."""
    return [line.strip() for line in fill(template, document).splitlines() if line.strip()]


def fill(template: str, document: Mapping[str, Any], **further: Any) -> str:
    """Give the text of one template."""
    return templates().get_template(template).render(_context(document) | further)


def _datasheet(environment: jinja2.Environment, answers: str, context: Mapping[str, Any]) -> str:
    """Put the questions of a datasheet and their answers together; every question has a macro of its name."""
    template = environment.get_template("datasheet.md.jinja")
    return template.render({**context, "answers": environment.get_template(answers).make_module(dict(context))})


def _context(document: Mapping[str, Any]) -> dict[str, Any]:
    manifest = json.loads(json.dumps(document, sort_keys=True))  # as it is read again, so that `check` can compare
    sources = manifest["sources"]
    shards = shards_of(manifest)
    return {
        "header": yaml.safe_dump(header(manifest, shards), sort_keys=False, allow_unicode=True, width=100),
        "manifest": manifest,
        "mixture": manifest["mixture"],
        "about": manifest["mixture"]["about"],
        "sources": sources,
        "statistics": manifest["statistics"],
        "totals": manifest["totals"],
        "split_names": [split for split in SPLITS if split in manifest["totals"]["kept_by_split"]],
        "columns": asset("columns.yaml"),
        "questions": asset("questions.yaml"),
        "plots": PLOTS,
        "published": manifest.get("published"),
        "withheld": manifest.get("withheld", []),
        "changelog": manifest.get("changelog", []),
        "reasons": {
            reason: text
            for reason, text in REASONS.items()
            if any(reason in entry["dropped_by_reason"] for entry in sources.values())
        },
        "converted": [source for source, entry in sources.items() if _is_converted(source, entry["layout"])],
    }


def _is_converted(source: str, layout: str) -> bool:
    """Tell whether upstream's images are of a kind that a mix holds as PNG."""
    return any(one.images for one in layouts(source) if one.name == layout)


@cache
def asset(name: str) -> Any:
    """Give the content of a YAML file among the templates."""
    return yaml.safe_load(_text(name))


def _text(name: str) -> str:
    return (package_files("medmix.cards") / name).read_text(encoding="utf-8")


def templates() -> jinja2.Environment:
    """Give what fills the templates of `cards/`, with the filters that they use."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=False,  # noqa: S701 - Markdown; the SVG template escapes by itself
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        cell=_cell,
        number=_number,
        share=_share,
        licence_url=spdx.url,
        united=united,
        largest_first=largest_first,
    )
    return environment


def _cell(text: object) -> str:
    """Make a text from upstream safe for a cell of a Markdown table: one line, no markup."""
    line = " ".join(str(text).split())
    for sign in "\\`*_[]|<>":
        line = line.replace(sign, "\\" + sign)
    return line


def _number(value: int) -> str:
    return f"{value:,}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "none"
