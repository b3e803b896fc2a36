"""Cards are accepted by the Hub's parser and complete, and every number comes from the manifest."""

import json
import re
import shutil
from itertools import chain
from pathlib import Path
from xml.etree import ElementTree

import datasets
import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import DatasetCard

from medmix.curate import build as builds
from medmix.curate import mixtures
from medmix.curate.build import BuildOptions, build
from medmix.curate.check import check
from medmix.curate.decide import stages
from medmix.curate.describe import attribution, card_metadata, cards
from medmix.curate.describe.plots import BAR_WIDTH, bars
from medmix.curate.errors import UsageError
from medmix.curate.licences import spdx
from medmix.curate.write import manifest
from medmix.curate.write.features import FEATURES
from medmix.curate.write.manifest import shards_of

SAMPLE = mixtures.load("sample")
SECTIONS = {"Motivation": 4, "Composition": 16, "Collection process": 12, "Preprocessing, cleaning, labeling": 4}
SECTIONS |= {"Uses": 6, "Distribution": 7, "Maintenance": 8}


@pytest.fixture(scope="module")
def document(mix) -> dict:
    return manifest.read(mix)


def card_data(mix: Path) -> dict:
    return DatasetCard.load(mix / "README.md").data.to_dict()


def test_the_hub_reads_the_metadata_of_the_card(mix, document):
    data = card_data(mix)
    assert data["license"] == "other"
    assert (mix / data["license_link"]).is_file()
    assert data["language"] == ["en", "zh"]
    assert data["size_categories"] == ["1K<n<10K"]
    assert set(data["task_categories"]) == set(card_metadata.TASK_CATEGORIES.values())
    configs = [config["config_name"] for config in data["configs"]]
    assert configs == ["default", *sorted(document["sources"])]


def test_columns_and_sizes_in_the_metadata_match_the_shards(mix, document):
    infos = {info["config_name"]: info for info in card_data(mix)["dataset_info"]}
    assert infos.keys() == {"default", *document["sources"]}
    for source, entry in document["sources"].items():
        sizes = {split["name"]: split["num_examples"] for split in infos[source]["splits"]}
        assert sizes == entry["kept_by_split"]
    assert datasets.Features._from_yaml_list(infos["default"]["features"]) == FEATURES


def test_a_card_may_cover_some_shards_only(document):
    shards = [shard for shard in manifest.shards_of(document) if shard.startswith("data/vqa_rad/")]
    data = card_metadata.metadata(document, shards)
    assert data["license"] == "cc0-1.0"
    assert data["language"] == ["en"]
    assert [config["config_name"] for config in data["configs"]] == ["default", "vqa_rad"]
    assert data["size_categories"] == ["n<1K"]
    paths = [path for config in data["configs"] for files in config["data_files"] for path in files["path"]]
    assert set(paths) == {"data/vqa_rad/train-*.parquet", "data/vqa_rad/test-*.parquet"}


def test_all_questions_of_datasheets_for_datasets_are_asked():
    assert {section: len(questions) for section, questions in cards.load_asset("questions.yaml").items()} == SECTIONS


def test_every_question_is_answered_for_the_mix_and_each_source(mix, document):
    sheets = [mix / "datasheet.md", *(mix / "datasheets" / f"{source}.md" for source in document["sources"])]
    assert sorted(sheets[1:]) == sorted((mix / "datasheets").iterdir())
    for sheet in sheets:
        _, *sections = re.split(r"^## (.+)\n", sheet.read_text(), flags=re.MULTILINE)
        asked = {name: re.split(r"^### .+\n", body, flags=re.MULTILINE)[1:] for name, body in pairs(sections)}
        assert {name: len(answers) for name, answers in asked.items()} == SECTIONS, sheet
        assert all(answer.strip() for answers in asked.values() for answer in answers), sheet


def pairs(flat: list[str]) -> list[tuple[str, str]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def test_answers_that_upstream_does_not_give_are_marked_as_not_stated(mix):
    sheet = (mix / "datasheets" / "slake.md").read_text()
    assert "### Who funded the creation of the dataset?\n\nNot stated by upstream.\n" in sheet
    assert "- 72 of the 96 images of the English test stand in Chinese train" in sheet


def test_a_changed_decision_changes_the_numbers_of_the_card(root, tmp_path, monkeypatch):
    options = BuildOptions(only=("slake",))
    build(SAMPLE, root, tmp_path / "before", options)
    real = builds.decide

    def one_fewer(*arguments):
        table, *leaks = real(*arguments)
        first = table.filter(pl.col("outcome") == "kept", pl.col("split") == "train")["index"][0]
        fallen = pl.DataFrame({"index": [first], "outcome": ["dropped"], "stage": ["caps"], "reason": ["capped"]})
        return stages.Decision(table.update(fallen.cast({"index": pl.UInt32}), on="index"), *leaks)

    monkeypatch.setattr(builds, "decide", one_fewer)
    build(SAMPLE, root, tmp_path / "after", options)
    before, after = ((tmp_path / name / "README.md").read_text() for name in ("before", "after"))
    kept = int(re.search(r"145 records read, (\d+) kept", before)[1])
    assert f"145 records read, {kept - 1} kept, {145 - kept + 1} dropped" in after
    assert "capped" not in before
    assert "| `capped` | 1 |" in after
    assert (
        "| `capped` | the mixture's cap for the source is reached | 1 |"
        in (tmp_path / "after/datasheet.md").read_text()
    )
    assert f"This mix read 145 rows and keeps {kept - 1}," in (tmp_path / "after/datasheets/slake.md").read_text()
    assert check(tmp_path / "after") == []


def test_every_number_of_the_composition_comes_from_the_manifest(document):
    changed = json.loads(json.dumps(document))
    changed["statistics"]["slake"]["yes_no"] = {"yes": 4321}
    changed["statistics"]["roco"]["near_empty"] = 8765
    changed["evaluation"][0]["same_question_answer"] = 2468
    texts = cards.render(changed)
    assert "| 4,321 | 0 |" in texts["datasheet.md"]
    assert "8,765 captions or reports have fewer than 20 characters." in texts["README.md"]
    assert f"another image: 2,468 of {changed['evaluation'][0]['set']}" in texts["datasheet.md"]
    assert ">4,484<" in texts["plots/yes_no.svg"]


def test_markup_in_upstream_texts_is_escaped(document):
    changed = json.loads(json.dumps(document))
    changed["statistics"]["slake"]["frequent_answers"] = [["a|b\n<img src=x>", 3]]
    changed["statistics"]["slake"]["modalities"] = {"<b>&mri": 118}
    texts = cards.render(changed)
    assert r"a\|b \<img src=x\> 3" in texts["datasheet.md"]
    title, *_, label = [text.text for text in svg_texts(texts["plots/modalities.svg"]) if text.text][:3:2]
    assert title == "Records kept, by modality"
    assert "<b>&mri" in [text.text for text in svg_texts(texts["plots/modalities.svg"])]
    assert label


def test_groups_are_said_to_be_apart_only_where_conflicts_were_dropped(document):
    mixture = {**document["settings"]["mixture"], "conflicts": "report"}
    reported = {**document, "settings": {**document["settings"], "mixture": mixture}}
    apart = "No group is in more than one split."
    assert apart in cards.render(document)["datasheet.md"]
    assert apart not in cards.render(reported)["datasheet.md"]
    assert "A group may be in more than one split" in cards.render(reported)["datasheet.md"]


def svg_texts(text: str) -> list[ElementTree.Element]:
    return ElementTree.fromstring(text).findall("{http://www.w3.org/2000/svg}text")


def test_each_plot_in_the_card_is_there_and_draws_its_counts(mix, document):
    named = re.findall(r"\((plots/\w+\.(?:svg|jpg))\)", (mix / "README.md").read_text())
    assert sorted(named) == sorted(f"plots/{path.name}" for path in (mix / "plots").iterdir())
    shown = [text.text for text in svg_texts((mix / "plots/sources.svg").read_text())]
    assert shown[:3] == ["Records kept, by source", "iu_xray", str(document["sources"]["iu_xray"]["kept"])]


def test_the_longest_bar_is_full_and_the_rest_is_summed_up():
    drawn = bars([("a", 1000), ("b", 1), ("c", 0), *((f"d{place}", 1) for place in range(20))])
    assert [(bar.label, bar.width) for bar in drawn[:3]] == [("a", BAR_WIDTH), ("b", 1), ("c", 0)]
    assert (drawn[-1].label, drawn[-1].count) == ("3 others", 3)


def test_every_kept_record_has_its_credit_in_the_table(mix, document):
    rows = pq.read_table(mix / "attribution.parquet").to_pylist()
    shards = (pq.read_table(mix / shard).to_pylist() for shard in shards_of(document))
    for credited, record in zip(rows, chain(*shards), strict=True):
        same = ("id", "source", "license", "license_verdict")
        assert {name: credited[name] for name in same} == {name: record[name] for name in same}
        own = document["sources"][record["source"]]["facts"]["attribution"]
        if record["license_verdict"] != "credentialed":
            assert "; ".join(filter(None, (credited["credit"], own))) == record["attribution"]


def test_articles_are_credited_with_their_address(mix):
    table = pl.read_parquet(mix / "attribution.parquet")
    found = table.filter(pl.col("source") == "roco", pl.col("credit").str.starts_with("PMC99000020 "))
    assert found.height == 2
    assert set(found["url"]) == {"https://pmc.ncbi.nlm.nih.gov/articles/PMC99000020/"}
    (abstract, *_) = table.filter(source="pubmedqa").select("credit", "url").rows()
    assert abstract[1] == f"https://pubmed.ncbi.nlm.nih.gov/{abstract[0].removeprefix('PMID ')}/"
    assert set(table.filter(source="slake")["url"]) == {""}


def test_credentialed_records_are_credited_by_their_source_only(mix):
    table = pl.read_parquet(mix / "attribution.parquet").filter(license_verdict="credentialed")
    assert table.height > 0
    assert table.select("credit", "url").unique().rows() == [("", "")]


def test_credits_are_one_line_each_whatever_upstream_wrote():
    rows = {"id": "a/1", "source": "a", "license": "CC0-1.0", "license_verdict": "redistributable"}
    texts = ["PMC12 (a.jpg); Own", "Own", "", "a\n b; Own", "xPMC12", "PMC12x; Own"]
    table = attribution.rows_of(pl.DataFrame([{**rows, "attribution": text} for text in texts]), {"a": "Own"})
    article = "https://pmc.ncbi.nlm.nih.gov/articles/PMC12/"
    assert table.select("credit", "url").rows() == [
        ("PMC12 (a.jpg)", article),
        ("", ""),
        ("", ""),
        ("a b", ""),
        ("xPMC12", ""),
        ("PMC12x", ""),
    ]


def test_the_summary_of_credits_counts_each_licence_of_each_source_and_names_the_columns(mix, document):
    text = (mix / "ATTRIBUTION.md").read_text()
    sections = dict(pairs(re.split(r"^## (.+)\n", text, flags=re.MULTILINE)[1:]))
    for entry in document["sources"].values():
        section = sections[entry["facts"]["title"]]
        assert f"> {entry['facts']['attribution']}\n" in section
        counts = re.findall(r"^\| \[?([^\]| ]+)(?:\]\(.+\))? \| ([\d,]+) \|$", section, flags=re.MULTILINE)
        assert {licence: int(count.replace(",", "")) for licence, count in counts} == entry["kept_by_licence"]
    named = re.findall(r"^\| `(\w+)` \|", sections["Credits by record"], flags=re.MULTILINE)
    assert named == pq.read_schema(mix / "attribution.parquet").names


def test_the_example_in_the_summary_runs(mix, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (mix / "ATTRIBUTION.md").read_text(), flags=re.DOTALL)
    monkeypatch.chdir(mix)
    exec(code, {})
    assert "credit" in capsys.readouterr().out


def test_citations_hold_the_mix_and_every_source(mix, document):
    text = (mix / "CITATION.bib").read_text()
    assert text.startswith("@misc{sample,\n  title = {sample 1.0.0},\n  author = {medmix},\n")
    assert len(re.findall(r"^@\w+\{", text, flags=re.MULTILINE)) == 1 + len(document["sources"])
    assert text.count("{") == text.count("}")


def test_the_terms_of_every_record_are_listed(mix, document):
    text = (mix / "LICENSE.md").read_text()
    for source, entry in document["sources"].items():
        for licence, count in entry["kept_by_licence"].items():
            assert re.search(rf"^\| `{source}` \| \[?{re.escape(licence)}\b.* \| {count} \|$", text, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("licence", "url"),
    [
        ("CC-BY-NC-ND-4.0", "https://creativecommons.org/licenses/by-nc-nd/4.0/"),
        ("CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        ("MIT", "https://spdx.org/licenses/MIT.html"),
        ("LicenseRef-CC-BY", ""),
    ],
)
def test_licences_lead_to_their_text(licence, url):
    assert spdx.url(licence) == url


def test_a_build_that_keeps_nothing_still_has_cards(root, tmp_path):
    data = yaml.safe_load("{name: none, version: 1.0.0, description: d, languages: [xx], sources: {medqa: {}}}")
    (tmp_path / "none.yaml").write_text(yaml.safe_dump(data))
    build(mixtures.load(str(tmp_path / "none.yaml")), root, tmp_path / "mix", BuildOptions())
    assert "117 records read, 0 kept" in (tmp_path / "mix" / "README.md").read_text()
    assert check(tmp_path / "mix") == []


def test_facts_about_the_mix_itself_come_from_the_mixture(document):
    changed = json.loads(json.dumps(document))
    changed["mixture"]["about"] |= {"contact": "jo@example.org", "published": "2026-11-24", "funding": ""}
    texts = cards.render(changed)
    assert "(e.g., email address)?\n\njo@example.org\n" in texts["datasheet.md"]
    assert "### When will the dataset be distributed?\n\n2026-11-24\n" in texts["datasheet.md"]
    assert "Not stated by its makers (`about.funding` in the mixture)." in texts["datasheet.md"]
    assert "  year = {2026},\n" in texts["CITATION.bib"]


def test_a_day_of_publication_must_be_one(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "{name: mine, version: 1.0.0, description: d, sources: {medqa: {}}, about: {published: soon, contct: x}}"
    )
    with pytest.raises(UsageError, match=r"mine\.yaml: about\.contct: unknown key .did you mean 'contact'"):
        mixtures.load(str(path))
    path.write_text("{name: mine, version: 1.0.0, description: d, sources: {medqa: {}}, about: {published: soon}}")
    with pytest.raises(UsageError, match=r"about\.published: 'soon' is not a date; write YYYY-MM-DD"):
        mixtures.load(str(path))


def test_check_finds_a_card_that_differs_from_the_manifest(mix, tmp_path):
    copy = tmp_path / "mix"
    shutil.copytree(mix, copy, ignore=shutil.ignore_patterns(".work"))
    altered = (copy / "README.md").read_text().replace("1,554 records read", "9,554 records read")
    (copy / "README.md").write_text(altered)
    document = manifest.read(copy)
    document["files"] |= manifest.file_facts(copy, ["README.md"])
    manifest.write(copy, document)
    assert check(copy) == ["README.md: differs from what manifest and shards give; build the mix again"]


def test_check_finds_statistics_that_differ_from_the_shards(mix, tmp_path):
    copy = tmp_path / "mix"
    shutil.copytree(mix, copy, ignore=shutil.ignore_patterns(".work"))
    document = manifest.read(copy)
    document["statistics"]["slake"]["yes_no"] = {"yes": 1000}
    manifest.write(copy, document)
    assert "manifest.json: statistics.slake differ from those of its shards" in check(copy)
    del document["statistics"]
    manifest.write(copy, document)
    assert any("manifest.json: lacks values that the cards need" in finding for finding in check(copy))
