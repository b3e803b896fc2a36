"""Readers on real samples and on generated trees of the upstream layouts, and what they refuse."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medmix.curate.errors import InputError, UsageError
from medmix.evaluate.classification import datasets, readers
from medmix.evaluate.classification.samples import Element, Sample

from . import upstream


def read(name: str, folder: Path) -> list[Sample]:
    return readers.read(datasets.load(name), folder)


def counts(samples: list[Sample]) -> Counter[tuple[str, int]]:
    return Counter((sample.split, label) for sample in samples for label in sample.labels)


def test_busi_has_a_folder_for_each_class(real_data: Path) -> None:
    samples = read("busi", real_data / "busi")
    assert counts(samples) == {("", 0): 100, ("", 1): 60, ("", 2): 40}
    first = samples[0]
    assert first.key == "Dataset_BUSI_with_GT/benign/benign (1).png"
    assert isinstance(first.image, Path)
    assert (first.labels, first.split, first.group) == ((0,), "", "")


def test_litter_is_neither_image_nor_class(tmp_path: Path) -> None:
    folder = tmp_path / "Dataset_BUSI_with_GT"
    for name in ("benign/1.png", "malignant/2.png", "normal/3.png", "benign/._1.png", "__MACOSX/benign/._1.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    keys = [sample.key.removeprefix("Dataset_BUSI_with_GT/") for sample in read("busi", tmp_path)]
    assert keys == ["benign/1.png", "malignant/2.png", "normal/3.png"]


def test_brain_tumours_have_folders_for_splits_and_classes(real_data: Path) -> None:
    samples = read("brain_tumor_mri", real_data / "brain_tumor_mri")
    assert Counter(sample.split for sample in samples) == {"train": 169, "test": 76}
    assert {sample.key.split("/")[1] for sample in samples if sample.labels == (2,)} == {"no_tumor"}


def test_ham10000_names_lesion_and_label_in_a_table(real_data: Path) -> None:
    samples = read("ham10000", real_data / "ham10000")
    assert len(samples) == 273
    assert len({sample.group for sample in samples}) == 196
    lesion = [sample for sample in samples if sample.group == "HAM_0000118"]
    assert [sample.key.split("/")[1] for sample in lesion] == ["ISIC_0025030.jpg", "ISIC_0027419.jpg"]
    assert {sample.labels for sample in lesion} == {(2,)}


def test_medmnist_lies_in_arrays(real_data: Path) -> None:
    samples = read("breastmnist", real_data / "medmnist")
    assert Counter(sample.split for sample in samples) == {"train": 546, "validation": 78, "test": 156}
    assert samples[0].image == Element(real_data / "medmnist" / "breastmnist.npz", "test_images", 0)
    assert Counter(sample.labels[0] for sample in samples if sample.split == "test") == {1: 114, 0: 42}


def test_a_yaml_of_ones_own_reads_the_films_of_the_nih_by_patient(real_data: Path, tmp_path: Path) -> None:
    (tmp_path / "nih1000.yaml").write_text(
        """
id: nih1000
title: 1,000 films
labels: single
classes: [normal, abnormal]
class_aliases: {0_normal: normal, 1_abnormal: abnormal}
reader:
  folders: {path: "{split}/{class}", splits: {train: train, valid: validation, test: test}}
splits: {group_by: patient, group_pattern: '^(\\d{8})_', copies: exact}
"""
    )
    samples = readers.read(datasets.load(tmp_path / "nih1000.yaml"), real_data / "chestxray14_nih1000_64px")
    assert Counter(sample.split for sample in samples) == {"train": 600, "validation": 200, "test": 200}
    assert all(sample.key.split("/")[-1].startswith(sample.group) for sample in samples)


def test_chestxray14_joins_findings_and_splits_by_its_lists(sets_root: Path) -> None:
    samples = read("cxr8", sets_root / "cxr8")
    assert Counter(sample.split for sample in samples) == {"train": 60, "test": 20}
    by_key = {sample.key: sample for sample in samples}
    film = by_key["images_001/images/00000004_001.png"]  # the ninth: No Finding
    assert (film.labels, film.split, film.group) == ((), "test", "4")
    assert by_key["images_002/images/00000040_000.png"].labels == (3, 10)  # Infiltration|Emphysema


def test_chestdr_has_flags_with_commas(sets_root: Path) -> None:
    samples = read("medfmc_chest", sets_root / "medfmc_chest")
    assert Counter(sample.split for sample in samples) == {"train": 48, "validation": 12, "test": 24}
    by_key = {sample.key: sample for sample in samples}
    assert by_key["images/5D0000000000004.png"].labels == (4,)
    assert by_key["images/5D0000000000006.png"].labels == ()


def test_endo_has_flags_with_blanks_and_the_case_in_the_name(sets_root: Path) -> None:
    samples = read("medfmc_endo", sets_root / "medfmc_endo")
    assert Counter(sample.split for sample in samples) == {"train": 40, "test": 20}
    first = samples[0]
    assert (first.key, first.labels) == ("images/13333_2021.01_0000_51688926.png", (0,))
    assert first.group == "13333_2021.01_0000"


def test_colon_has_a_blank_in_its_names(sets_root: Path) -> None:
    samples = read("medfmc_colon", sets_root / "medfmc_colon")
    first = samples[0]
    assert first.key == "images/2019-07501-1-1-1_2019-05-29 08_22_25-lv1-9661-18329-4972-6041p0000.png"
    assert (first.labels, first.group) == ((0,), "2019-07501-1-1-1")


def test_neojaundice_is_cut_at_the_papers_limit(sets_root: Path) -> None:
    samples = read("medfmc_neojaundice", sets_root / "medfmc_neojaundice")
    assert [(sample.group, sample.labels) for sample in samples[:4]] == [("0001", (1,))] * 3 + [("0002", (0,))]


def test_folders_read_a_set_of_ones_own(tmp_path: Path) -> None:
    upstream.class_folders(tmp_path / "mine", ("benign", "malignant"), 3)
    (tmp_path / "mine" / "benign" / "Thumbs.db").write_bytes(b"x")
    info = replace(
        datasets.load("busi"), classes=("benign", "malignant"), reader=datasets.Reader(datasets.Folders("{class}"))
    )
    assert len(readers.read(info, tmp_path / "mine")) == 6


def test_a_class_without_its_folder_is_named(tmp_path: Path) -> None:
    upstream.class_folders(tmp_path / "Dataset_BUSI_with_GT", ("benign", "malign", "normal"), 1)
    with pytest.raises(InputError) as caught:
        read("busi", tmp_path)
    assert "has no folder malignant (did you mean 'malign'?); found benign, malign, normal" in str(caught.value)


def test_a_folder_of_no_class_is_named(tmp_path: Path) -> None:
    upstream.class_folders(tmp_path / "Dataset_BUSI_with_GT", ("benign", "malignant", "normal", "masks"), 1)
    with pytest.raises(InputError, match=r"masks: a folder of no class; add it to classes of busi\.yaml"):
        read("busi", tmp_path)


def test_a_class_without_images_is_named(tmp_path: Path) -> None:
    upstream.class_folders(tmp_path / "Dataset_BUSI_with_GT", ("benign", "malignant"), 1)
    (tmp_path / "Dataset_BUSI_with_GT" / "normal").mkdir()
    with pytest.raises(InputError, match="no image is of class normal"):
        read("busi", tmp_path)


def test_a_set_that_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"busi is missing; get Dataset_BUSI_with_GT.zip from scholar.cu.edu.eg"):
        read("busi", tmp_path / "busi")


def test_an_image_of_the_list_that_is_missing_is_named(tmp_path: Path) -> None:
    upstream.medfmc_endo(tmp_path)
    (tmp_path / "medfmc_endo" / "images" / "13333_2021.01_0000_51688926.png").unlink()
    with pytest.raises(InputError, match=r"1 of 60 images are missing: images/13333_2021.01_0000_51688926.png"):
        read("medfmc_endo", tmp_path / "medfmc_endo")


@pytest.mark.parametrize(
    ("name", "file", "line", "message"),
    [
        ("medfmc_chest", "train_20.txt", "a.png 0,1", "row 48: 'a.png 0,1' does not end in 19 labels of 0 or 1"),
        ("medfmc_endo", "trainval.txt", "a.png 0 0 2 0", "row 40: 'a.png 0 0 2 0' does not end in 4 labels of 0 or 1"),
        ("medfmc_colon", "trainval.txt", "a b.png 2", "does not end in the number of a class, 0 to 1"),
        ("medfmc_colon", "trainval.txt", "../../a.png 1", "'../../a.png' is no file name"),
        ("medfmc_endo", "trainval.txt", "b.png 0 0 0 0", "no case in the name 'b.png' by splits.group_pattern"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, name: str, file: str, line: str, message: str) -> None:
    getattr(upstream, name)(tmp_path)
    with (tmp_path / name / file).open("a") as handle:
        handle.write(f"{line}\n")
    with pytest.raises(UsageError) as caught:
        read(name, tmp_path / name)
    assert message in str(caught.value)


def test_an_unknown_finding_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    upstream.cxr8(tmp_path)
    table = tmp_path / "cxr8" / "Data_Entry_2017.csv"
    table.write_text(table.read_text().replace("Cardiomegaly", "Cardiomegali", 1))
    with pytest.raises(InputError) as caught:
        read("cxr8", tmp_path / "cxr8")
    assert "label 'Cardiomegali' is no class (did you mean 'Cardiomegaly'?)" in str(caught.value)
    assert "Data_Entry_2017.csv, row 12: " in str(caught.value)


def test_a_film_in_no_list_is_named(tmp_path: Path) -> None:
    upstream.cxr8(tmp_path)
    test = tmp_path / "cxr8" / "test_list.txt"
    test.write_text(test.read_text().replace("00000004_000.png\n", ""))
    with pytest.raises(InputError, match=r"00000004_000.png is in none of train_val_list.txt, test_list.txt"):
        read("cxr8", tmp_path / "cxr8")


def test_a_broken_npz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "breastmnist.npz").write_bytes(b"PK not a zip")
    with pytest.raises(InputError, match="cannot be read"):
        read("breastmnist", tmp_path)


def test_an_array_of_another_shape_is_refused(tmp_path: Path) -> None:
    arrays = {
        f"{split}_{kind}": np.zeros((2, 3)) for split in ("train", "val", "test") for kind in ("images", "labels")
    }
    np.savez(tmp_path / "breastmnist.npz", **arrays)
    with pytest.raises(InputError, match=r"train_images is float64 \(2, 3\)"):
        read("breastmnist", tmp_path)
