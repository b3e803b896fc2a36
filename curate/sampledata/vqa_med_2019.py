"""VQA-Med 2019: bar-separated lines, four questions a training image, one a test image."""

from collections.abc import Iterable

from . import medpix
from .faults import ERROR_PAGE
from .files import Tree, jpeg, lines, zipped
from .phrases import FINDING, asks
from .scenes import Scene
from .seeds import pick, stream

_MODALITY = {"film": "xr - plain film", "ct": "ct - noncontrast", "mr": "mr - t1 weighted"}
_ORGAN = {"chest": "lung, mediastinum, pleura", "abdomen": "gastrointestinal", "brain": "skull and contents"}

_CATEGORIES = {"modality": "C1_Modality", "plane": "C2_Plane", "organ": "C3_Organ", "abnormality": "C4_Abnormality"}

_TRAIN = "ImageClef-2019-VQA-Med-Training"
_VALIDATION = "ImageClef-2019-VQA-Med-Validation"
_TEST = "VQAMed2019Test"


def tree(seed: int) -> Tree:
    """Make the folder: 84 train, 20 validation and 20 test questions."""
    train = (*medpix.MED_TRAIN, *medpix.IN_BOTH_TRAINS, medpix.RAD_TEST_IN_MED_TRAIN)
    test = (*medpix.MED_TEST, medpix.RAD_TRAIN_IN_MED_TEST)
    files = _questions(seed, _TRAIN, "train", (*train, medpix.MED_BROKEN), "\n")
    files |= _questions(seed, _VALIDATION, "val", medpix.MED_VALIDATION, "\r\n")
    files |= {f"{_TRAIN}/Train_images/{name}": image for name, image in _images(seed, train)}
    files[f"{_TRAIN}/Train_images/{medpix.name(medpix.MED_BROKEN)}.jpg"] = ERROR_PAGE
    files |= {f"{_VALIDATION}/Val_images/{name}": image for name, image in _images(seed, medpix.MED_VALIDATION)}
    files |= _test_files(seed, test)
    members = {f"VQAMed2019_Test_Images/{name}": image for name, image in _images(seed, test)}
    files[f"{_TEST}/VQAMed2019_Test_Images.zip"] = zipped(members)
    return Tree(4 * (len(train) + 1 + len(medpix.MED_VALIDATION)) + len(test), files)


def _images(seed: int, numbers: Iterable[int]) -> Iterable[tuple[str, bytes]]:
    """Give the images by file name; packed anew, so that those of VQA-RAD have other bytes here."""
    for number in numbers:
        yield f"{medpix.name(number)}.jpg", jpeg(medpix.picture(seed, number).pixels, repacked=True)


def _questions(seed: int, folder: str, split: str, numbers: Iterable[int], ending: str) -> dict[str, bytes]:
    names = list(numbers)
    files: dict[str, bytes] = {}
    everything: list[str] = []
    for category, stem in _CATEGORIES.items():
        rows = ["|".join((medpix.name(number), *_ask(seed, number, category))) for number in names]
        files[f"{folder}/QAPairsByCategory/{stem}_{split}.txt"] = lines(rows)
        everything += rows
    # upstream's last line is not ended
    files[f"{folder}/All_QA_Pairs_{split}.txt"] = ending.join(everything).encode()
    files[f"{folder}/{split}_ImageIDs.txt"] = lines(medpix.name(number) for number in names)
    return files


def _test_files(seed: int, numbers: Iterable[int]) -> dict[str, bytes]:
    questions: list[str] = []
    references: list[str] = []
    for place, number in enumerate(numbers):
        category = list(_CATEGORIES)[place % 4]
        question, answer = _ask(seed, number, category)
        if category == "modality" and answer.startswith("xr"):
            answer = f"{answer}#x-ray"
        if category == "organ" and answer.startswith("skull"):
            answer = "skull (and contents)"
        questions.append(f"{medpix.name(number)}|{question}")
        references.append(f"{medpix.name(number)}|{category}|{question}|{answer}")
    return {
        f"{_TEST}/VQAMed2019_Test_Questions.txt": lines(questions),
        f"{_TEST}/VQAMed2019_Test_Questions_w_Ref_Answers.txt": "\n".join(references).encode(),
    }


def _ask(seed: int, number: int, category: str) -> tuple[str, str]:
    """Give the question of a category on an image, and its answer."""
    scene = medpix.shown(seed, number)
    rng = stream(seed, "vqa_med_2019", str(number), category)
    if category == "modality":
        return pick(rng, ("what modality is shown?", "what kind of scan is this?")), _MODALITY[scene.kind]
    if category == "plane":
        plain = "what plane is this?"
        free = pick(rng, (plain, "in what plane is this image?", "which plane is shown?"))
        return plain if number in medpix.IN_BOTH_TRAINS else free, scene.view
    if category == "organ":
        asked = pick(rng, ("what organ system is shown in the image?", "what organ system is pictured here?"))
        return asked, _ORGAN[scene.organ]
    return _abnormality(scene, closed=bool(rng.integers(2)))


def _abnormality(scene: Scene, *, closed: bool) -> tuple[str, str]:
    if closed or not scene.spots:
        return "is there an abnormality in the image?", asks(scene)["presence"].answer
    return "what is the primary abnormality in this image?", f"{scene.side} {FINDING[scene.kind]}"
