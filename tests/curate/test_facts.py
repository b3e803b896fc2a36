import re
from dataclasses import fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import yaml

from medmix.curate import facts, mixtures, sampledata
from medmix.curate.config import yaml_names
from medmix.curate.errors import UsageError
from medmix.curate.licences import statements, terms
from medmix.curate.record import TASKS, VERDICTS
from medmix.curate.sources import layouts

FOURTEEN = [
    "iu_xray",
    "medmcqa",
    "medqa",
    "mimic_cxr",
    "omnimedvqa",
    "pathvqa",
    "pmc_oa",
    "pmc_vqa",
    "pubmedqa",
    "roco",
    "slake",
    "ubench",
    "vqa_med_2019",
    "vqa_rad",
]

GOOD = {
    "id": "good",
    "title": "Good",
    "modality": "x-ray",
    "task": "vqa",
    "samples": 3,
    "languages": ["en"],
    "access": "open",
    "upstream": {
        "hub": {"dataset": "someone/good", "revision": "abc"},
        "original": {"dataset": "Zenodo 1", "revision": None},
    },
    "licence": {
        "declared": {"license_text": "mit", "evidence": "the card", "read": "2026-11-23"},
        "upstream": {"license_text": "MIT", "evidence": "the repository", "read": "2026-11-22"},
        "effective": {"id": "MIT", "verdict": "redistributable", "evidence": "both", "read": "2026-11-23"},
    },
    "group": "the image",
    "splits": {"train": 3, "test": None},
    "known_issues": ["one"],
    "unverified": [],
    "attribution": "Good (2026)",
    "citation": "@misc{good}",
}


def written(folder: Path, stem: str = "good", licence: dict | None = None, **changes: object) -> Path:
    path = folder / f"{stem}.yaml"
    parts = {name: part | (licence or {}).get(name, {}) for name, part in GOOD["licence"].items()}
    data = GOOD | changes | {"licence": (licence or {}) | parts}
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def test_all_fourteen_are_there():
    assert list(facts.source_ids()) == FOURTEEN


@pytest.mark.parametrize("source", FOURTEEN)
def test_each_source_is_told_in_full(source):
    entry = facts.load(source)
    assert entry.id == source
    told = [field.name for field in fields(entry) if isinstance(getattr(entry, field.name), str)]
    assert all(getattr(entry, name).strip() for name in told)
    parts = (entry.licence.declared, entry.licence.upstream, entry.licence.effective)
    assert all(part.evidence and part.read >= "2026-11-23" for part in parts)
    assert "\n" not in entry.attribution
    assert all("\n" not in line for line in (*entry.known_issues, *entry.unverified))
    assert entry.known_issues


@pytest.mark.parametrize("source", FOURTEEN)
def test_a_verdict_is_that_of_the_licence_or_stricter(source):
    licence = facts.load(source).licence
    assert licence.verdict in (terms.verdict(licence.id), "unclear")


@pytest.mark.parametrize("source", FOURTEEN)
def test_a_citation_is_one_whole_bibtex_entry(source):
    citation = facts.load(source).citation
    assert citation.startswith("@")
    assert citation.count("{") == citation.count("}")
    assert all(f"{key} = " in citation for key in ("author", "title", "year"))


@pytest.mark.parametrize(
    ("source", "verdict", "access"),
    [
        ("mimic_cxr", "credentialed", "credentialed"),
        ("iu_xray", "research-only", "open"),
        ("pathvqa", "unclear", "open"),
        ("medqa", "unclear", "open"),
        ("vqa_rad", "redistributable", "open"),
    ],
)
def test_verdicts(source, verdict, access):
    entry = facts.load(source)
    assert (entry.licence.verdict, entry.access) == (verdict, access)


@pytest.mark.parametrize(
    ("source", "samples"),
    [("pathvqa", 32_632), ("vqa_rad", 2_248), ("slake", 14_028), ("vqa_med_2019", 15_292), ("medmcqa", 193_155)],
)
def test_split_sizes_add_up_to_the_samples(source, samples):
    entry = facts.load(source)
    assert entry.samples == samples == sum(size or 0 for size in entry.splits.values())


def test_every_source_of_every_mixture_has_facts():
    named = {source for name in yaml_names("mixtures") for source in mixtures.load(name).sources}
    assert named <= set(facts.source_ids())


def test_the_words_are_those_of_the_record():
    assert get_args(get_type_hints(statements.Effective)["verdict"]) == VERDICTS
    assert get_args(get_type_hints(facts.Facts)["task"]) == TASKS


@pytest.mark.parametrize("source", FOURTEEN)
def test_every_layout_that_is_read_has_its_upstream(source):
    assert {layout.name for layout in layouts(source)} <= facts.load(source).upstream.keys()


FETCHED = [source for source in FOURTEEN if facts.load(source).downloadable_layout()]

NOT_IN_THE_SAMPLE = {"pubmedqa": {"pqa_unlabeled/train-00000-of-00001.parquet"}}
"""Files that upstream has and the sample data leaves out."""


@pytest.mark.parametrize("source", FOURTEEN)
def test_every_source_can_be_fetched_or_says_what_to_do(source):
    entry = facts.load(source)
    assert entry.downloadable_layout() or len(entry.steps) > 1
    assert not re.findall(r"\{(?!folder\})\w+\}", " ".join(entry.steps))


@pytest.mark.parametrize("source", FETCHED)
def test_what_is_fetched_is_just_what_its_reader_wants(source, tmp_path):
    entry = facts.load(source)
    name = entry.downloadable_layout()
    tree = sampledata.TREES[source][name](0).files
    patterns = entry.upstream[name].files
    known = {*tree, *NOT_IN_THE_SAMPLE.get(source, set())}
    assert [pattern for pattern in patterns if not any(fnmatchcase(file, pattern) for file in known)] == []
    for file in (file for file in tree if any(fnmatchcase(file, pattern) for pattern in patterns)):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(tree[file])
    found = {layout.name: layout.shards(tmp_path) for layout in layouts(source)}
    assert [layout for layout, shards in found.items() if shards] == [name]
    assert {file for shard in found[name] for file in shard.files} <= set(tree)
    assert {shard.split for shard in found[name] if shard.split} >= set(entry.expected_rows(name)) - {""}


def test_what_is_fetched_is_pinned_by_a_whole_commit():
    pins = {
        source: facts.load(source).upstream[facts.load(source).downloadable_layout()].revision for source in FETCHED
    }
    assert {source: pin for source, pin in pins.items() if not re.fullmatch("[0-9a-f]{40}", pin or "")} == {}


def test_hub_copies_are_pinned_by_a_whole_commit():
    upstreams = {source: facts.load(source).upstream for source in FOURTEEN}
    pins = {source: upstream["hub"].revision for source, upstream in upstreams.items() if "hub" in upstream}
    assert {"medmcqa", "medqa", "pathvqa", "pubmedqa", "roco", "slake", "vqa_rad"} <= pins.keys()
    assert all(re.fullmatch("[0-9a-f]{40}", pin or "") for pin in pins.values())


def test_provenance_names_the_layout_and_falls_back_to_the_first(tmp_path):
    entry = facts.parse_file(written(tmp_path))
    assert entry.provenance("original") == {"dataset": "Zenodo 1", "revision": ""}
    assert entry.provenance("hub") == {"dataset": "someone/good", "revision": "abc"}
    first = next(iter(entry.upstream))
    assert entry.provenance("other") == entry.provenance(first)


def test_an_unknown_source_names_the_nearest():
    with pytest.raises(UsageError, match=r"source 'slak' is unknown.*did you mean 'slake'"):
        facts.load("slak")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"stem": "other"}, "id: is 'good', but the file is called 'other'"),
        ({"samples": 0}, "samples: must be 1 or more"),
        ({"samples": "many"}, "samples: must be a whole number"),
        ({"languages": []}, "languages: is empty"),
        ({"upstream": {}}, "upstream: is empty"),
        ({"task": "vqaa"}, "task: must be one of .*did you mean 'vqa'"),
        ({"splits": {"train": "all"}}, "splits.train: must be a whole number"),
        ({"access": "credentialed"}, "verdict: is redistributable, but access is credentialed"),
        ({"licence": {"effective": {"id": "MTI"}}}, "licence.effective.id: 'MTI' is unknown .*did you mean 'MIT'"),
        ({"licence": {"effective": {"verdict": "free"}}}, "licence.effective.verdict: must be one of"),
        (
            {"licence": {"effective": {"id": "CC-BY-NC-4.0"}}},
            "licence.effective.verdict: is redistributable, but CC-BY-NC-4.0 is research-only",
        ),
        ({"licence": {"upstream": {"read": "yesterday"}}}, "licence.upstream.read: 'yesterday' is not a date"),
        ({"licence": {"declared": {"evidence": " "}}}, "licence.declared.evidence: is empty; say where it was read"),
        ({"licence": {"declared": {"evidence": None}}}, "licence.declared.evidence: must be a text, is null"),
        (
            {"licence": {"declared": {"license_text": "CC-BY-9"}}},
            r"licence.declared.license_text: 'CC-BY-9' is not known \(did you mean 'CC-BY-4.0'\?\); add it to",
        ),
        (
            {"licence": {"declared": {"licence": "MIT"}}},
            "licence.declared.licence: may only be LicenseRef-unclear",
        ),
        (
            {"licence": {"upstream": {"license_text": "CC BY-SA 4.0"}}},
            r"licence.effective.id: MIT is laxer than upstream \(CC-BY-SA-4.0\): share_alike",
        ),
        (
            {"licence": {"declared": {"license_text": "cc-by-nc-nd-4.0"}}},
            r"licence.effective.id: MIT is laxer than declared \(CC-BY-NC-ND-4.0\): derivatives, commercial",
        ),
        (
            {"licence": {"upstream": {"license_text": "other"}}},
            r"licence.effective.id: MIT is laxer than upstream \(LicenseRef-unclear\): redistribute, derivatives",
        ),
        (
            {"licence": {"declared": {"license_text": ""}, "upstream": {"license_text": ""}}},
            "licence.effective.id: is MIT, but neither declared nor upstream states a licence",
        ),
        (
            {"licence": {"members": {"Some set": {"license_text": "free", "evidence": "", "read": "2026-11-23"}}}},
            "licence.members.Some set.evidence: is empty",
        ),
        ({"licence": {"licence": "MIT"}}, "licence.licence: unknown key"),
        ({"faults": ["one"]}, "faults: is now called 'known_issues'"),
        ({"licence": {"declared": {"wording": "MIT"}}}, "licence.declared.wording: is now called 'license_text'"),
    ],
)
def test_mistakes_are_named(tmp_path, changes, problem):
    path = written(tmp_path, **changes)
    with pytest.raises(UsageError, match=rf"{path.name}: .*{problem}"):
        facts.parse_file(path)


def test_facts_that_a_caller_changes_are_not_those_of_another():
    entry = facts.load("omnimedvqa")
    entry.upstream["original"].splits.clear()
    for mapping in (entry.upstream, entry.splits, entry.licence.members):
        mapping.clear()
    other = facts.load("omnimedvqa")
    assert other.upstream["original"].splits
    assert other.splits
    assert other.licence.members


def test_all_mistakes_are_named_at_once(tmp_path):
    with pytest.raises(UsageError, match=r"samples: .*; good.yaml: licence.effective.id: "):
        facts.parse_file(written(tmp_path, samples=0, licence={"effective": {"id": "MTI"}}))


@pytest.mark.parametrize("part", ["declared", "upstream", "effective"])
def test_a_source_without_evidence_is_an_error(tmp_path, part):
    path = written(tmp_path)
    data = yaml.safe_load(path.read_text())
    del data["licence"][part]["evidence"]
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(UsageError, match=rf"good.yaml: licence.{part}.evidence: is missing"):
        facts.parse_file(path)


def test_silence_binds_nobody_and_what_is_not_known_has_its_own_word(tmp_path):
    silent = facts.parse_file(written(tmp_path, licence={"declared": {"license_text": ""}})).licence
    assert (silent.declared.id, silent.id) == ("LicenseRef-unclear", "MIT")
    free_text = {"license_text": "ask the publisher", "licence": "LicenseRef-unclear"}
    unclear = {"id": "LicenseRef-unclear", "verdict": "unclear"}
    parsed = facts.parse_file(written(tmp_path, licence={"upstream": free_text, "effective": unclear})).licence
    assert (parsed.upstream.id, parsed.verdict) == ("LicenseRef-unclear", "unclear")


def test_the_three_answers_on_pathvqa_stay_apart():
    licence = facts.load("pathvqa").licence
    assert (licence.declared.id, licence.upstream.id, licence.id) == ("MIT", "LicenseRef-unclear", "LicenseRef-unclear")


def test_unclear_may_be_stricter_than_the_licence(tmp_path):
    assert (
        facts.parse_file(written(tmp_path, licence={"effective": {"verdict": "unclear"}})).licence.verdict == "unclear"
    )


def test_the_summary_is_plain_data(tmp_path):
    summary = facts.parse_file(written(tmp_path)).summary()
    assert summary["upstream"]["original"] == {"dataset": "Zenodo 1", "revision": ""}
    assert yaml.safe_load(yaml.safe_dump(summary)) == summary
