"""croissant.json is valid by the reference implementation, and its records are those of `datasets`."""

import io
import json
import warnings

import datasets
import pytest
from PIL import Image

from medmix.curate.describe import croissant
from medmix.curate.shards import file_sha256
from medmix.curate.write import manifest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    mlcroissant = pytest.importorskip("mlcroissant")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def described(mix):
    """The sample mix as the reference implementation reads it."""
    return mlcroissant.Dataset(str(mix / croissant.NAME))


def test_it_is_valid(described):
    issues = described.metadata.ctx.issues
    assert not issues.errors
    assert [warning.split("Property ")[1] for warning in issues.warnings] == [
        '"https://schema.org/datePublished" is recommended, but does not exist.'
    ]
    assert described.metadata.ctx.conforms_to.value == "http://mlcommons.org/croissant/1.1"


def test_a_mixture_with_a_date_of_publication_gives_no_warning(mix, tmp_path):
    document = manifest.read(mix)
    document["mixture"]["about"] |= {"published": "2026-11-24", "url": "https://example.org/mix"}
    (tmp_path / croissant.NAME).write_text(croissant.text(document))
    issues = mlcroissant.Dataset(str(tmp_path / croissant.NAME)).metadata.ctx.issues
    assert not issues.errors
    assert not issues.warnings


def test_a_mix_without_records_is_described(mix, tmp_path):
    document = manifest.read(mix)
    document |= {"files": {}, "statistics": {}}
    document["totals"] |= {"kept": 0, "kept_by_split": {}, "kept_by_verdict": {}}
    for entry in document["sources"].values():
        entry |= {"kept": 0} | {name: {} for name in entry if name.startswith("kept_by_")}
    (tmp_path / croissant.NAME).write_text(croissant.text(document))
    described = mlcroissant.Dataset(str(tmp_path / croissant.NAME))
    assert not described.metadata.ctx.issues.errors
    assert [record_set.id for record_set in described.metadata.record_sets] == ["splits"]


@pytest.mark.parametrize("config", ["slake", "iu_xray", "medmcqa", "vqa_med_2019", "default"])
def test_its_records_are_those_of_datasets(mix, described, tmp_path, config):
    loaded = datasets.load_dataset(str(mix), config, cache_dir=str(tmp_path))
    expected = {}
    for rows in loaded.values():
        for row in rows.cast_column("images", datasets.List(datasets.Image(decode=False))):
            expected[row["id"]] = row
    got = {}
    for record in described.records(config):
        row = plain(record, f"{config}/")
        got[row["id"]] = row
    assert got.keys() == expected.keys()
    for key, row in got.items():
        assert comparable(row, expected[key])


def comparable(row: dict, expected: dict) -> bool:
    """Compare a record with one of `datasets`; asserts column by column, so that a failure names it."""
    images, originals = row.pop("images"), expected.pop("images")
    assert [image.tobytes() for image in images] == [
        Image.open(io.BytesIO(original["bytes"])).tobytes() for original in originals
    ]
    turns = expected.pop("messages")
    assert row.pop("messages") == [{"role": turn["role"], "text": turn["content"][-1]["text"]} for turn in turns]
    assert [part["type"] for part in turns[0]["content"]] == ["image"] * len(images) + ["text"]
    assert row == expected
    return True


def plain(value, prefix: str):
    """Give a value of the reference reader with short names and with texts for bytes."""
    if isinstance(value, dict):
        inner = {key: (key.removeprefix(prefix), item) for key, item in value.items()}
        return {short.rsplit("/", 1)[-1]: plain(item, prefix) for short, item in inner.values()}
    if isinstance(value, list):
        return [plain(item, prefix) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def test_one_split_can_be_read_alone(mix):
    counts = manifest.read(mix)["sources"]["roco"]["kept_by_split"]
    for split, count in counts.items():
        rows = mlcroissant.Dataset(str(mix / croissant.NAME)).records("roco", filters={"roco/split": split})
        assert len(list(rows)) == count


def test_every_shard_is_listed_with_its_digest(mix):
    document = json.loads((mix / croissant.NAME).read_text())
    files = {item["@id"]: item for item in document["distribution"] if item["@type"] == "cr:FileObject"}
    assert sorted(files) == manifest.shards_of(manifest.read(mix))
    for name, item in files.items():
        assert item["sha256"] == file_sha256(mix / name)
        assert item["contentSize"] == f"{(mix / name).stat().st_size} B"


def test_it_lists_the_upstream_datasets(mix):
    document = json.loads((mix / croissant.NAME).read_text())
    origins = {item["@id"]: item for item in document["prov:wasDerivedFrom"]}
    sources = manifest.read(mix)["sources"]
    assert origins.keys() == {f"upstream/{source}" for source in sources}
    ubench = origins["upstream/ubench"]
    assert (ubench["prov:atLocation"], ubench["sc:version"]) == (
        "jnirschl/uBench",
        "3f2c5b590bc7a208d5b60f3527ce4c76a331aa2b",
    )
    sets = {item["@id"]: item for item in document["recordSet"]}
    assert sets["slake"]["prov:wasDerivedFrom"] == {"@id": "upstream/slake"}


def test_it_states_the_conditions_of_use(mix):
    document = json.loads((mix / croissant.NAME).read_text())
    assert "https://creativecommons.org/licenses/by/4.0/" in document["license"]
    assert {"@type": "CreativeWork", "name": "LicenseRef-unclear"} in document["license"]
    usage = {item["@id"]: item["usageInfo"] for item in document["recordSet"] if "usageInfo" in item}
    assert "odrl:constraint" not in usage["vqa_med_2019"]["odrl:permission"]
    limits = {name: conditions(usage[name]) for name in ("iu_xray", "mimic_cxr")}
    assert limits == {"iu_xray": ["duo:0000046"], "mimic_cxr": ["duo:0000046", "duo:0000026"]}


def conditions(usage: dict) -> list[str]:
    return [limit["odrl:rightOperand"]["@id"] for limit in usage["odrl:permission"]["odrl:constraint"]]


def test_it_has_the_responsible_ai_properties(described, mix):
    told = described.metadata
    assert "Kaggle raddar/chest-xrays-indiana-university" in told.data_collection
    assert "Of the 301 yes/no answers, 56.8% are yes." in told.data_biases
    assert any("no known reliable licence" in line for line in told.data_limitations)
    assert any("MIMIC-CXR: de-identified" in line for line in told.personal_sensitive_information)
    assert any("Not for clinical decisions" in line for line in told.data_use_cases)
    assert told.data_social_impact
    assert told.data_release_maintenance_plan
