"""Render the dataset card, datasheets and plots of a mix: numbers come from the manifest, pictures from the shards."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from ..record import REASONS, SPLITS
from ..shards import write_text
from ..sources import layouts
from ..write.manifest import README, shards_of
from . import templates, thumbnails
from .card_metadata import metadata
from .plots import PLOTS, bars
from .templates import DATASHEET

ATTRIBUTION = "ATTRIBUTION.md"
CITATION = "CITATION.bib"
LICENSE = "LICENSE.md"

MAX_LINES = 4
"""Of warnings, and of notes, that the card lists; the datasheet has all."""


def templates_digest() -> str:
    """Digest the templates and texts of `cards/`."""
    digest = hashlib.sha256()
    for entry in sorted(package_files("medmix.cards").iterdir(), key=lambda entry: entry.name):
        if entry.is_file():
            digest.update(entry.read_bytes())
    return digest.hexdigest()


def write(mix: Path, document: Mapping[str, Any]) -> list[str]:
    """Write the cards of a mix from its manifest and its first public images; return their names."""
    examples = thumbnails.choose(mix, shards_of(document))
    texts = render(document, examples)
    for name, text in texts.items():
        write_text(mix / name, text)
    return [*texts, *thumbnails.write(mix, examples)]


def render(document: Mapping[str, Any], examples: Sequence[thumbnails.Example] = ()) -> dict[str, str]:
    """Return the text of every card by path in the mix; a pure function of the manifest and the examples in its sheet.

    The manifest must contain `statistics`, and `files` with at least the shards.
    """
    environment = templates.markdown()
    context = _context(document) | {"examples": examples, "sheet": thumbnails.NAME}
    context |= {name: _sentences(f"{name}.jinja", document) for name in ("biases", "limitations")}
    texts = {
        README: environment.get_template("README.md.jinja").render(context),
        LICENSE: environment.get_template("LICENSE.md.jinja").render(context),
        ATTRIBUTION: environment.get_template("ATTRIBUTION.md.jinja").render(context),
        CITATION: templates.plain().get_template("CITATION.bib.jinja").render(context),
        DATASHEET: _datasheet(environment, "answers_mix.jinja", context),
    }
    for source, entry in context["sources"].items():
        source_context = {**context, "source": source, "entry": entry, "facts": entry["facts"]}
        texts[f"datasheets/{source}.md"] = _datasheet(environment, "answers_source.jinja", source_context)
    for name, plot in PLOTS.items():
        chart = bars(plot.rows(context["manifest"]))
        texts[f"plots/{name}.svg"] = (
            templates.pages().get_template("bars.svg.jinja").render(title=plot.title, bars=chart)
        )
    return texts


def render_lines(template: str, document: Mapping[str, Any]) -> list[str]:
    """Render a template as plain text and return its lines, without empty ones."""
    return _lines(render_plain(template, document))


def render_plain(template: str, document: Mapping[str, Any]) -> str:
    """Render one template from the manifest, as a text that is no Markdown."""
    return templates.plain().get_template(template).render(_context(document))


def _sentences(template: str, document: Mapping[str, Any]) -> list[Markup]:
    """Render a template as Markdown and return its lines, for a template that prints them."""
    text = templates.markdown().get_template(template).render(_context(document))
    return [Markup(line) for line in _lines(text)]  # noqa: S704 - its values are escaped


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def render_page(template: str, document: Mapping[str, Any], **variables: Any) -> str:
    """Render a page of HTML from the manifest and further variables."""
    return templates.pages().get_template(template).render(_context(document) | variables)


def _datasheet(environment: jinja2.Environment, answers: str, context: Mapping[str, Any]) -> str:
    """Render a datasheet: its questions and their answers; each question has a macro of the same name."""
    template = environment.get_template("datasheet.md.jinja")
    return template.render({**context, "answers": environment.get_template(answers).make_module(dict(context))})


def _context(document: Mapping[str, Any]) -> dict[str, Any]:
    manifest = json.loads(json.dumps(document, sort_keys=True))  # sorted as on disk, so that `check` can compare
    sources = manifest["sources"]
    shards = shards_of(manifest)
    return {
        "metadata": _front_matter(metadata(manifest, shards)),
        "manifest": manifest,
        "mixture": manifest["mixture"],
        "about": manifest["mixture"]["about"],
        "sources": sources,
        "statistics": manifest["statistics"],
        "totals": manifest["totals"],
        "split_names": [split for split in SPLITS if split in manifest["totals"]["kept_by_split"]],
        "columns": load_asset("columns.yaml"),
        "questions": load_asset("questions.yaml"),
        "plots": PLOTS,
        "published": manifest.get("published"),
        "withheld": manifest.get("withheld", []),
        "changelog": manifest.get("changelog", []),
        "MAX_LINES": MAX_LINES,
        "reasons": {
            reason: text
            for reason, text in REASONS.items()
            if any(reason in entry["dropped_by_reason"] for entry in sources.values())
        },
        "converted": [source for source, entry in sources.items() if _is_converted(source, entry["layout"])],
    }


def _front_matter(data: Mapping[str, Any]) -> Markup:
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    return Markup(text)  # noqa: S704 - YAML quotes its values


def _is_converted(source: str, layout_name: str) -> bool:
    """Return whether a mix stores the images of a layout as PNG."""
    return any(layout.images for layout in layouts(source) if layout.name == layout_name)


@cache
def load_asset(name: str) -> Any:
    """Load a YAML file of `cards/`."""
    return yaml.safe_load(templates.read(name))
