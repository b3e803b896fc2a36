"""The sample trees read in the plainest way, apart from the readers and from the code that made them."""

import csv
import io
import json
import pickle
import struct
import zipfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from PIL import Image


class Row(NamedTuple):
    """What an upstream row says; `article` only for figures of articles."""

    split: str
    image: str
    question: str
    answer: str
    article: str = ""


class Tree:
    """The sample data as rows and image bytes, with the sound images decoded once."""

    def __init__(self, root):
        self.root = root
        self.rows = rows(root)
        self.images = images(root)
        self.decoded = {}
        self.fingerprints = {}
        for source, named in self.images.items():
            for name, content in named.items():
                if content[:2] == b"\xff\xd8" or content[:4] == b"\x89PNG":
                    self._decode((source, name), content)

    def _decode(self, key, content):
        if content[:4] == b"\x89PNG" and struct.unpack(">I", content[16:20])[0] > 10_000:
            return
        image = Image.open(io.BytesIO(content))
        try:
            image.load()
        except OSError:
            return
        self.decoded[key] = image
        self.fingerprints[key] = (image.size, image.convert("RGB").tobytes())

    def where(self, test):
        """Count the rows of each source that a test of (source, row) holds for."""
        return Counter(source for source, found in self.rows.items() for row in found if test(source, row))

    def with_bytes(self, test):
        return self.where(
            lambda source, row: test(self.images[source].get(row.image, b"sound")) if row.image else False
        )

    def with_image(self, test):
        return self.where(lambda source, row: (source, row.image) in self.decoded and test(source, row))

    def films(self, test):
        """Count the reports of IU X-Ray with a film whose bytes a test holds for."""
        text = (self.root / "iu_xray/indiana_projections.csv").read_text()
        named = self.images["iu_xray"]
        return {
            "iu_xray": len({row["uid"] for row in csv.DictReader(io.StringIO(text)) if test(named[row["filename"]])})
        }


def rows(root: Path) -> dict[str, list[Row]]:
    """Every row of the sources that the faults are in, by source."""
    return {
        "vqa_rad": list(_vqa_rad(root / "vqa_rad")),
        "vqa_med_2019": list(_vqa_med(root / "vqa_med_2019")),
        "pathvqa": list(_pathvqa(root / "pathvqa")),
        "slake": list(_slake(root / "slake")),
        "roco": list(_roco(root / "roco")),
        "omnimedvqa": list(_omnimedvqa(root / "omnimedvqa")),
        "pmc_oa": [
            Row("", row["image"], "", row["caption"], row["image"].split("_")[0])
            for row in json_lines(root / "pmc_oa/pmc_oa.jsonl")
        ],
        "pmc_vqa": list(_pmc_vqa(root / "pmc_vqa")),
        "medqa": list(_medqa(root / "medqa")),
        "medmcqa": list(_medmcqa(root / "medmcqa")),
    }


def images(root: Path) -> dict[str, dict[str, bytes]]:
    """The bytes of every image by source and by the name that its rows use, inside zip archives too."""
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted(root.rglob("*")):
        source = path.relative_to(root).parts[0]
        named = found.setdefault(source, {})
        if path.suffix in (".jpg", ".png"):
            short = path.relative_to(root / "slake/Slake1.0/imgs").as_posix() if source == "slake" else path.name
            named[short] = path.read_bytes()
        elif path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                members = [name for name in archive.namelist() if name.endswith((".jpg", ".png"))]
                named |= {Path(name).name: archive.read(name) for name in members}
    return found


def json_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _vqa_rad(folder):
    for row in json.loads((folder / "VQA_RAD Dataset Public.json").read_text()):
        split = "test" if row["phrase_type"].startswith("test_") else "train"
        yield Row(split, row["image_name"], row["question"], str(row["answer"]))


def _vqa_med(folder):
    for split, name in (("train", "Training/All_QA_Pairs_train"), ("validation", "Validation/All_QA_Pairs_val")):
        for line in (folder / f"ImageClef-2019-VQA-Med-{name}.txt").read_text().splitlines():
            image, question, answer = line.split("|")
            yield Row(split, f"{image}.jpg", question, answer)
    for line in (folder / "VQAMed2019Test/VQAMed2019_Test_Questions_w_Ref_Answers.txt").read_text().splitlines():
        image, _, question, answer = line.split("|")
        yield Row("test", f"{image}.jpg", question, answer)


def _pathvqa(folder):
    for split in ("train", "val", "test"):
        for row in pickle.loads((folder / f"split/qas/{split}/{split}_qa.pkl").read_bytes()):
            yield Row(split, f"{row['image']}.jpg", row["question"], row["answer"])


def _slake(folder):
    for split in ("train", "validate", "test"):
        for row in json.loads((folder / f"Slake1.0/{split}.json").read_text(encoding="utf-8")):
            yield Row(split, row["img_name"], row["question"], row["answer"])


def _roco(folder):
    for split in ("train", "validation", "test"):
        for kind in ("radiology", "non-radiology"):
            place = folder / "data" / split / kind
            captions = (place / "captions.txt").read_bytes().decode().rstrip("\n").split("\n")
            licences = (place / "licences.txt").read_text().splitlines()[1:]
            for line, licence in zip(captions, licences, strict=True):
                key, caption = line.split("\t")
                yield Row(split, f"{key}.jpg", "", caption.removeprefix(" "), licence.split(",")[1].split("_")[0])


def _omnimedvqa(folder):
    with zipfile.ZipFile(folder / "OmniMedVQA.zip") as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                for row in json.loads(archive.read(name)):
                    yield Row("", Path(row["image_path"]).name, row["question"], row["gt_answer"])


def _pmc_vqa(folder):
    for split in ("train", "test", "test_clean", "train_2", "test_2"):
        text = (folder / f"{split}.csv").read_text(encoding="utf-8")
        for row in csv.DictReader(io.StringIO(text)):
            yield Row(split, row["Figure_path"], row["Question"], row["Answer"], row["Figure_path"].split("_")[0])


def _medqa(folder):
    for split in ("train", "dev", "test"):
        for row in json_lines(folder / f"data_clean/questions/US/4_options/phrases_no_exclude_{split}.jsonl"):
            yield Row(split, "", row["question"], row["answer"])


def _medmcqa(folder):
    for split in ("train", "dev", "test"):
        for row in json_lines(folder / f"data/{split}.json"):
            yield Row(split, "", row["question"], row[f"op{'abcd'[row['cop'] - 1]}"] if "cop" in row else "")
