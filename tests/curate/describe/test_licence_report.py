"""`medmix licences` reports on a mix, on a mixture, and on the rows of a root."""

import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medmix.curate import mixtures
from medmix.curate.build import BuildOptions, build
from medmix.curate.describe.licence_report import of_mix, of_mixture
from medmix.curate.errors import UsageError
from medmix.curate.licences.terms import TERMS
from medmix.curate.write import manifest

SAMPLE = mixtures.load("sample")


@pytest.fixture
def copy(mix, tmp_path) -> Path:
    shutil.copytree(mix, tmp_path / "mix", ignore=shutil.ignore_patterns(".work"))
    return tmp_path / "mix"


@pytest.fixture(scope="module")
def commercial(root, scanned, tmp_path_factory) -> Path:
    """The sample mix for commercial use."""
    folder = tmp_path_factory.mktemp("commercial")
    scanned(folder / "mix")
    text = (Path(__file__).resolve().parents[3] / "mixtures" / "sample.yaml").read_text()
    path = folder / "business.yaml"
    path.write_text(text.replace("name: sample", "name: business") + "\nlicence_policy: {use: commercial}\n")
    build(mixtures.load(str(path)), root, folder / "mix", BuildOptions())
    return folder / "mix"


def kept(report: dict) -> dict[str, int]:
    return {entry["source"]: entry["remain"] for entry in report["remaining"]}


def test_an_intact_mix_is_reported_by_source_and_licence(mix):
    report = of_mix(mix)
    document = manifest.read(mix)
    assert report["findings"] == []
    assert report["records"] == document["totals"]["kept"]
    for source, entry in document["sources"].items():
        mine = {part["licence"]: part["records"] for part in report["holdings"] if part["source"] == source}
        assert mine == entry["kept_by_licence"]
    assert kept(report) == {source: entry["kept"] for source, entry in sorted(document["sources"].items())}


def test_data_contains_only_licences_that_allow_changes_and_commercial_use(mix):
    folders: dict[str, set[str]] = {"data": set(), "restricted": set()}
    for folder, found in folders.items():
        for path in (mix / folder).rglob("*.parquet"):
            found |= set(pq.read_table(path, columns=["license"])["license"].to_pylist())
    terms = [TERMS[licence] for licence in folders["data"]]
    assert terms and all(each.redistribute and each.derivatives and each.commercial for each in terms)
    assert folders["restricted"] >= {"CC-BY-NC-ND-4.0", "LicenseRef-CC-BY-ND", "LicenseRef-unclear"}


def test_every_record_has_the_declared_and_the_upstream_licence_and_their_evidence(mix):
    rows = pq.read_table(mix / "data/roco", columns=["license", "license_evidence"]).to_pylist()
    assert {(row["license_evidence"]["declared"], row["license_evidence"]["evidence"]) for row in rows} == {
        ("mit", "the row's own licence")
    }
    assert {row["license_evidence"]["upstream"]: row["license"] for row in rows} == {
        "CC BY": "LicenseRef-CC-BY",
        "CC BY-SA": "LicenseRef-CC-BY-SA",
        "CC0": "CC0-1.0",
    }
    said = manifest.read(mix)["sources"]["roco"]["facts"]["licence"]
    assert (said["declared"]["license_text"], said["effective"]["id"]) == ("mit", "LicenseRef-unclear")


def test_an_unknown_licence_and_a_third_party_figure_are_unclear_with_evidence(root, tmp_path):
    shutil.copytree(root / "roco", tmp_path / "roco")
    folder = tmp_path / "roco/data/train/radiology"
    licences, captions = (folder / "licences.txt"), (folder / "captions.txt")
    *others, strange, credited = licences.read_text().splitlines()
    strange, credited = (
        f"{line.rpartition(',')[0]},{code}" for line, code in ((strange, "CC BY 9.0"), (credited, "CC BY"))
    )
    licences.write_text("\n".join([*others, strange, credited]))
    key = credited.partition(",")[0]
    captions.write_text(re.sub(rf"^{key}\t.*", r"\g<0> Courtesy of Dr X.", captions.read_text(), flags=re.MULTILINE))
    document = build(SAMPLE, tmp_path, tmp_path / "mix", BuildOptions(only=("roco",)))
    assert "roco: the licence 'CC BY 9.0' is unknown and counts as unclear (1 rows)" in document["notes"]
    assert document["sources"]["roco"]["kept_of_third_parties"] == 1
    unclear = pq.read_table(tmp_path / "mix/restricted/roco").to_pylist()
    unclear = [row for row in unclear if row["license_verdict"] == "unclear"]
    evidence = {row["id"]: row["license_evidence"]["evidence"] for row in unclear}
    assert evidence[f"roco/{key}"] == (
        "the caption credits a third party ('Courtesy of Dr X.'), which LicenseRef-CC-BY does not cover"
    )
    assert evidence[f"roco/{strange.partition(',')[0]}"] == "the row's own licence"


def test_what_remains_for_commercial_use_is_what_a_commercial_build_keeps(mix, commercial):
    remaining = {source: count for source, count in kept(of_mix(mix, "commercial")).items() if count}
    document = manifest.read(commercial)
    assert of_mix(commercial)["findings"] == []
    assert {"medqa", "pathvqa", "iu_xray"}.isdisjoint(remaining)
    # A record that is left out no longer hides its duplicates, so that a commercial build may keep a few more.
    assert remaining.keys() == {source for source, entry in document["sources"].items() if entry["kept"]}
    assert all(document["sources"][source]["kept"] >= count for source, count in remaining.items())
    assert not (commercial / "restricted").exists()


def test_a_commercial_mix_with_other_records_violates_its_policy(commercial, tmp_path):
    shutil.copytree(commercial, tmp_path / "mix", ignore=shutil.ignore_patterns(".work"))
    shard = "data/vqa_rad/train-00000-of-00001.parquet"
    change(tmp_path / "mix" / shard, license="CC-BY-NC-4.0", license_verdict="research-only")
    assert of_mix(tmp_path / "mix")["findings"][:2] == [
        f"{shard}: 1 records may not be redistributed (CC-BY-NC-4.0, research-only) but are in data/",
        "vqa_rad: 1 records are research-only (CC-BY-NC-4.0), which the mixture's licence policy "
        "(use: commercial) excludes",
    ]


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"license": "CC-BY-NC-4.0"}, "1 records have the verdict redistributable, but CC-BY-NC-4.0 is research-only"),
        ({"license": "CC-BY-4.0"}, "vqa_rad: the records' licences are"),
        ({"license_verdict": "unclear"}, "1 records may not be redistributed (CC0-1.0, unclear) but are in data/"),
        ({"license_verdict": "fine"}, "1 records have the verdict fine, but CC0-1.0 is redistributable"),
    ],
)
def test_a_changed_licence_is_found(copy, changes, finding):
    change(copy / "data/vqa_rad/train-00000-of-00001.parquet", **changes)
    assert any(finding in line for line in of_mix(copy)["findings"])


def test_a_changed_policy_is_found(copy):
    document = json.loads((copy / manifest.NAME).read_text())
    document["settings"]["mixture"]["licence_policy"]["use"] = "commercial"
    (copy / manifest.NAME).write_text(json.dumps(document))
    assert of_mix(copy)["findings"] == [manifest.MODIFIED]
    manifest.write(copy, document)
    findings = of_mix(copy)["findings"]
    assert any("which the mixture's licence policy (use: commercial) excludes" in line for line in findings)


def change(shard: Path, **changes: str) -> None:
    """Change the first row of a shard."""
    table = pq.read_table(shard)
    rows = table.to_pylist()
    rows[0].update(changes)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), shard)


def test_a_mixture_is_reported_from_facts_alone():
    report = of_mixture(mixtures.load("v1"), use="commercial")
    by_source = {entry["source"]: entry for entry in report["holdings"]}
    assert len(by_source) == 14
    assert (by_source["slake"]["licence"], by_source["slake"]["records"]) == ("CC-BY-4.0", 14_028)
    assert kept(report)["mimic_cxr"] == 0
    assert report["notes"] == [
        "record licences are known only with --root or in a mix: slake, roco, pmc_oa, pmc_vqa, omnimedvqa, ubench"
    ]


def test_with_a_root_every_row_counts_and_no_image_is_read(root, tmp_path):
    figures = tmp_path / "roco" / "data" / "train" / "radiology"
    figures.mkdir(parents=True)
    (figures / "captions.txt").write_text(
        "ROCO_1\t A mass.\nROCO_2\t A scan. Courtesy of Dr X.\nROCO_3\t A film.\nROCO_4\t A lung.\n"
    )
    (figures / "licences.txt").write_text(
        "ROCO_ID,PMC_ID,CC\nROCO_1,PMC1_a.jpg,CC BY\nROCO_2,PMC1_b.jpg,CC BY\nROCO_3,PMC2_a.jpg,CC BY 9.0\n"
    )
    report = of_mixture(mixtures.load("v1"), tmp_path)
    assert [(part["licence"], part["verdict"], part["records"]) for part in report["holdings"]] == [
        ("LicenseRef-CC-BY", "redistributable", 1),
        ("LicenseRef-unclear", "unclear", 3),
    ]
    assert report["notes"][:2] == [
        "roco: single rows name no licence; LicenseRef-unclear applies (1 rows)",
        "roco: the licence 'CC BY 9.0' is unknown and counts as unclear (1 rows)",
    ]
    assert report["notes"][2].startswith("not read: vqa_rad, slake")


def test_the_real_samples_by_licence(real_data):
    report = of_mixture(mixtures.load("v1"), real_data)
    counts = {(part["source"], part["licence"]): part["records"] for part in report["holdings"]}
    assert {licence: count for (source, licence), count in counts.items() if source == "roco"} == {
        "CC0-1.0": 2,
        "LicenseRef-CC-BY": 894,
        "LicenseRef-unclear": 14,
    }
    assert {licence: count for (source, licence), count in counts.items() if source == "slake"} == {
        "CC-BY-4.0": 637,
        "CC-BY-NC-SA-4.0": 760,
        "CC-BY-SA-4.0": 646,
    }
    assert counts["iu_xray", "CC-BY-NC-ND-4.0"] == 600


def test_a_folder_without_a_mix_is_rejected(tmp_path):
    with pytest.raises(UsageError, match="is not a finished mix"):
        of_mix(tmp_path)
