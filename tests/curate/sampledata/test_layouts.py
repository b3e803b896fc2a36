"""Every layout that a reader offers, written small: found as itself, read to the row, with the texts of the others."""

import json

import pytest

from medmix.curate import sampledata
from medmix.curate.errors import UsageError
from medmix.curate.measure.text import comparable
from medmix.curate.record import Record
from medmix.curate.sources import layouts

ROWS = {
    # (source, layout): (records, rejected)
    ("pathvqa", "original"): (121, 0),
    ("pathvqa", "hub"): (120, 0),
    ("mimic_cxr", "jpg"): (40, 0),
    ("mimic_cxr", "original"): (40, 0),
    ("iu_xray", "kaggle"): (56, 0),
    ("iu_xray", "original"): (56, 2),
    ("iu_xray", "r2gen"): (45, 0),
    ("vqa_rad", "original"): (121, 0),
    ("vqa_rad", "repacked"): (180, 0),
    ("vqa_rad", "hub"): (120, 0),
    ("roco", "original"): (85, 0),
    ("roco", "hub"): (68, 0),
    ("omnimedvqa", "archive"): (82, 0),
    ("omnimedvqa", "original"): (82, 0),
    ("ubench", "original"): (209, 0),
    ("ubench", "hub"): (209, 0),
    ("slake", "original"): (145, 0),
    ("slake", "hub"): (145, 0),
    ("pmc_oa", "original"): (76, 0),
    ("pmc_oa", "early"): (76, 0),
    ("pmc_oa", "beta"): (76, 0),
    ("pmc_vqa", "original"): (154, 1),
    ("vqa_med_2019", "original"): (124, 0),
    ("medqa", "original"): (117, 0),
    ("medqa", "hub"): (105, 0),
    ("medqa", "five-options"): (117, 0),
    ("medmcqa", "original"): (111, 12),
    ("medmcqa", "hub"): (111, 12),
    ("pubmedqa", "original"): (100, 0),
    ("pubmedqa", "hub"): (100, 0),
}


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Give the rows of a source in a layout, and the folder they lie in; each is written and read once."""
    base = tmp_path_factory.mktemp("layouts")
    done = {}

    def rows(source, name):
        if (source, name) not in done:
            folder = base / source / name
            for file, content in sampledata.TREES[source][name](0).files.items():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_bytes(content)
            layout = next(layout for layout in layouts(source) if layout.name == name)
            done[source, name] = [row for shard in layout.shards(folder) for row in layout.read(folder, shard)]
        return done[source, name]

    rows.base = base
    return rows


def test_every_layout_of_every_reader_is_written():
    assert {source: {layout.name for layout in layouts(source)} for source in sampledata.TREES} == {
        source: set(makers) for source, makers in sampledata.TREES.items()
    }
    assert set(ROWS) == {(source, name) for source, makers in sampledata.TREES.items() for name in makers}


@pytest.mark.parametrize(("source", "name"), ROWS)
def test_a_layout_is_found_as_itself_alone_and_read_to_the_row(source, name, read):
    found = read(source, name)
    folder = read.base / source / name
    assert [layout.name for layout in layouts(source) if layout.shards(folder)] == [name]
    records = sum(isinstance(row, Record) for row in found)
    assert (records, len(found) - records) == ROWS[source, name]
    assert len({row.key for row in found}) == len(found)


def texts(rows):
    return sorted(
        (comparable(row.question), comparable(row.context), tuple(row.choices), comparable(row.answer))
        for row in rows
        if isinstance(row, Record)
    )


@pytest.mark.parametrize(
    ("source", "name", "other"),
    [
        ("omnimedvqa", "archive", "original"),
        ("ubench", "original", "hub"),
        ("slake", "original", "hub"),
        ("medmcqa", "original", "hub"),
        ("pubmedqa", "original", "hub"),
        ("pmc_oa", "original", "early"),
        ("mimic_cxr", "jpg", "original"),
        ("iu_xray", "kaggle", "original"),
    ],
)
def test_copies_of_the_same_rows_have_the_same_texts(source, name, other, read):
    assert texts(read(source, name)) == texts(read(source, other))


def test_splits_and_keys_are_the_same_where_the_copy_has_them(read):
    for source in ("slake", "medmcqa", "pubmedqa"):
        fates = [
            {row.key: row.split for row in read(source, name) if isinstance(row, Record)}
            for name in ("original", "hub")
        ]
        assert fates[0] == fates[1]


def test_pathvqa_on_the_hub_is_without_the_repeated_row(read):
    original, hub = texts(read("pathvqa", "original")), texts(read("pathvqa", "hub"))
    assert sorted([*hub, next(text for text in original if original.count(text) > hub.count(text))]) == original


def test_vqa_rad_on_the_hub_is_without_the_row_whose_image_is_not_there(read):
    original = [row for row in read("vqa_rad", "original") if "passwd" not in row.images[0].path]
    assert texts(original) == texts(read("vqa_rad", "hub"))
    assert not any(row.key.isdigit() for row in read("vqa_rad", "hub"))


def test_vqa_rad_repacked_has_the_rephrased_questions_too(read):
    plain = {row.key: (row.question, row.answer, row.split) for row in read("vqa_rad", "original")}
    repacked = {row.key: (row.question, row.answer, row.split) for row in read("vqa_rad", "repacked")}
    assert plain.items() <= repacked.items()
    rephrased = [question for key, (question, _, _) in repacked.items() if key not in plain]
    assert rephrased
    assert all(question.endswith(" Answer briefly.") for question in rephrased)


def test_roco_on_the_hub_is_the_readable_radiology_part(read):
    hub = {row.key: row.answer for row in read("roco", "hub")}
    original = {row.key: row.answer for row in read("roco", "original") if row.modality == "radiology"}
    assert hub.items() <= original.items()
    assert len(original) - len(hub) == 3


def test_medqa_on_the_hub_lacks_dev_and_the_longer_form_has_one_more_option(read):
    original, hub, five = (read("medqa", name) for name in ("original", "hub", "five-options"))
    assert texts(hub) == texts(row for row in original if row.split != "validation")
    for row, longer in zip(original, five, strict=True):
        assert (row.question, row.answer, row.correct) == (longer.question, longer.answer, longer.correct)
        assert longer.choices[:4] == row.choices
        assert longer.choices[4] not in row.choices


def test_r2gen_has_the_findings_of_the_reports_with_two_films(read):
    whole = {row.key: row.answer.split("\nImpression: ")[0] for row in read("iu_xray", "kaggle")}
    annotated = {row.key: row.answer for row in read("iu_xray", "r2gen")}
    assert annotated.items() <= whole.items()
    assert {len(row.images) for row in read("iu_xray", "r2gen")} == {2}
    assert {row.split for row in read("iu_xray", "r2gen")} == {"train", "validation", "test"}


def test_xml_names_its_films_in_another_style_than_kaggle(read):
    first = {name: next(row for row in read("iu_xray", name) if row.key == "1") for name in ("kaggle", "original")}
    assert first["kaggle"].images[0].path == "images/images_normalized/1_IM-0001-1001.dcm.png"
    assert first["original"].images[0].path == "NLMCXR_png/CXR1_1_IM-0001-1001.png"
    filmless = [row for row in read("iu_xray", "original") if not isinstance(row, Record)]
    assert {row.reason for row in filmless} == {"missing-image"}


def test_pmc_oa_beta_repeats_one_caption_over_the_figures_of_an_article(read):
    one, other = read("pmc_oa", "beta")[:2]
    assert one.answer == other.answer
    captions = [row.answer for row in read("pmc_oa", "original")[:2]]
    assert one.answer == f"(A) {captions[0]} (B) {captions[1]}"


def test_pubmedqa_on_the_hub_has_the_test_items_in_train(read):
    assert {row.file for row in read("pubmedqa", "hub") if row.split == "test"} == {
        "pqa_labeled/train-00000-of-00001.parquet"
    }
    truth = json.loads((read.base / "pubmedqa" / "hub" / "test_ground_truth.json").read_text())
    assert {row.key for row in read("pubmedqa", "hub") if row.split == "test"} == set(truth)


def test_a_named_layout_is_taken_where_a_source_has_it(tmp_path, monkeypatch):
    chosen = {source: sampledata.TREES[source] for source in ("medqa", "pubmedqa", "vqa_med_2019")}
    monkeypatch.setattr(sampledata, "TREES", chosen)
    sampledata.write(tmp_path / "out", layout="five-options")
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.json*")}
    assert files == {
        *(f"medqa/data_clean/questions/US/{split}.jsonl" for split in ("train", "dev", "test")),
        *(f"pubmedqa/data/{name}.json" for name in ("ori_pqal", "ori_pqaa", "test_ground_truth")),
    }


def test_a_layout_that_no_source_has_is_met_with_the_nearest(tmp_path):
    with pytest.raises(UsageError, match=r"layout 'hubb' is unknown \(did you mean 'hub'\?\); there are archive, "):
        sampledata.write(tmp_path / "out", layout="hubb")
    assert not list(tmp_path.iterdir())
