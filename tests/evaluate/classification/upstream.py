"""Miniature sets in the layouts of upstream, to the letter, made by code.

Every class has a mark at a place of its own, so that a model can learn it; noise makes each image another one.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from medmix.evaluate.classification import datasets

SIDE = 32


def picture(labels: Sequence[int], number: int, side: int = SIDE, grey: bool = True) -> Image.Image:
    """An image with a bright block for each of its classes, in a grid of 5 x 5."""
    random = np.random.default_rng(number)
    pixels = random.integers(0, 60, (side, side, 1 if grey else 3), np.uint8).repeat(3 if grey else 1, axis=2)
    cell = side // 5
    for label in labels:
        row, column = divmod(label, 5)
        pixels[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = 255
    return Image.fromarray(pixels)


def save(path: Path, labels: Sequence[int], number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(labels, number).save(path)


def flags(labels: Sequence[int], classes: int) -> list[str]:
    return ["1" if k in labels else "0" for k in range(classes)]


def medfmc_chest(root: Path, trainval: int = 60, test: int = 24) -> None:
    """`NAME.png 0,1,0,...`; names as of two kinds of devices; one film a patient; some have no finding."""
    folder, classes = root / "medfmc_chest", 19
    lines = []
    for number in range(trainval + test):
        labels = [] if number % 7 == 6 else sorted({number % 19, (number * 5 + 3) % 19})
        name = (
            f"DX.1.2.840.113619.2.369.4.2147483647.15734298{number:02}.830976.png"
            if number % 2
            else f"5D{number:013X}.png"
        )
        save(folder / "images" / name, labels, number)
        lines.append(f"{name} {','.join(flags(labels, classes))}")
    cut = trainval * 4 // 5
    write(folder / "train_20.txt", lines[:cut])
    write(folder / "val_20.txt", lines[cut:trainval])
    write(folder / "trainval.txt", lines[:trainval])
    write(folder / "test_WithLabel.txt", lines[trainval:])
    write(folder / "test_WithoutLabel.txt", ["5D0000000FFFFFF.png"])


def medfmc_endo(root: Path, cases: int = 15, frames: int = 4) -> None:
    """`NAME.png 0 0 1 0`; several frames of a case; no tumour in the test."""
    folder = root / "medfmc_endo"
    lines: dict[str, list[str]] = {"trainval.txt": [], "test_WithLabel.txt": []}
    for case in range(cases):
        where = "test_WithLabel.txt" if case % 3 == 2 else "trainval.txt"
        for frame in range(frames):
            labels = [(case + frame) % 4] if where == "trainval.txt" else [(case + frame) % 3]
            labels = [] if frame == 3 and case % 2 else labels
            name = f"13333_2021.{case % 12 + 1:02}_{case:04}_{51688926 + frame}.png"
            save(folder / "images" / name, labels, 100 * case + frame)
            lines[where].append(f"{name} {' '.join(flags(labels, 4))}")
    for file, mine in lines.items():
        write(folder / file, mine)


def medfmc_colon(root: Path, slides: int = 12, tiles: int = 4) -> None:
    """`NAME WITH A BLANK.png 0`; the first two slides of the test stand in trainval as well."""
    folder = root / "medfmc_colon"
    lines: dict[str, list[str]] = {"trainval.txt": [], "test_WithLabel.txt": []}
    for slide in range(slides):
        for tile in range(tiles):
            where = "test_WithLabel.txt" if slide % 3 == 2 else "trainval.txt"
            if slide in (2, 5) and tile == 0:
                where = "trainval.txt"
            name = f"2019-{7501 + slide:05}-1-1-1_2019-05-29 08_22_25-lv1-9661-18329-4972-6041p{tile:04}.png"
            label = slide % 2
            save(folder / "images" / name, [label], 100 * slide + tile)
            lines[where].append(f"{name} {label}")
    for file, mine in lines.items():
        write(folder / file, mine)


def cxr8(root: Path, patients: int = 40, films: int = 2) -> None:
    """The table with its two split headings and empty last column, two folders of images, the official lists."""
    folder, classes = root / "cxr8", datasets.load("cxr8").classes
    heading = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
    )
    rows, lists = [heading], {"train_val_list.txt": [], "test_list.txt": []}
    for patient in range(1, patients + 1):
        for film in range(films):
            number = patient * films + film
            labels = [] if number % 9 == 0 else sorted({number % 14, (number * 3 + 1) % 14})
            name = f"{patient:08}_{film:03}.png"
            half = "images_001" if patient <= patients // 2 else "images_002"
            save(folder / half / "images" / name, labels, number)
            findings = "|".join(classes[k] for k in labels) or "No Finding"
            rows.append(f"{name},{findings},{film},{patient},58,M,PA,2682,2749,0.143,0.143,")
            lists["test_list.txt" if patient % 4 == 0 else "train_val_list.txt"].append(name)
    write(folder / "Data_Entry_2017.csv", rows)
    for file, names in lists.items():
        write(folder / file, names)


def medfmc_neojaundice(root: Path, children: int = 20) -> None:
    """Three photographs of each child; bilirubin in mg/dL."""
    folder = root / "medfmc_neojaundice"
    (folder / "images").mkdir(parents=True, exist_ok=True)
    with (folder / "chd_jaundice_published_2.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image_idx", "gender", "gestational_age", "age(day)", "weight", "blood(mg/dL)", "Treatment"])
        for child in range(1, children + 1):
            for part in (1, 2, 3):
                name = f"{child:04}-{part}.jpg"
                save(folder / "images" / name, [child % 2], 10 * child + part)
                table.writerow([name, "M", 39, 3, 3200, "15.4" if child % 2 else "8.1", child % 2])


def class_folders(folder: Path, classes: Sequence[str], each: int, start: int = 0) -> None:
    """A folder for each class."""
    for label, name in enumerate(classes):
        for number in range(each):
            save(folder / name / f"{name} ({number + 1}).png", [label], start + 1000 * label + number)


def write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
