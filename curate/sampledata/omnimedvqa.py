"""OmniMedVQA: images and a JSON list for each member set, the sets split by access; one zip, or the same unpacked."""

import io
import json
from dataclasses import dataclass

import numpy as np
from PIL import Image

from . import slake
from .files import Tree, png, zipped
from .phrases import Ask, asks
from .pictures import Pixels
from .plates import drawn, facts
from .scenes import Scene
from .seeds import shuffled, stream

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Member:
    """A member set: its name, what its images show, upstream's name of the modality, how many images."""

    name: str
    kind: str
    modality: str
    images: int


_FILMS = _Member("Chest X-Ray PA", "film", "X-Ray", 10)
_SCANS = _Member("Chest CT Scan", "ct", "CT(Computed Tomography)", 8)
_OPEN = (
    _FILMS,
    _SCANS,
    # upstream's tag is wrong for this set
    _Member("BreakHis", "tile", "MR (Mag-netic Resonance Imaging)", 6),
    _Member("CRC100k", "tile", "Microscopy Images", 6),
    _Member("RadImageNet", "sonogram", "ultrasound", 8),
)
_RESTRICTED = _Member("Brain Tumor", "mr", "MR (Mag-netic Resonance Imaging)", 3)
"""Its questions are released without the images."""

_TYPES = {
    "modality": "Modality Recognition",
    "organ": "Anatomy Identification",
    "presence": "Disease Diagnosis",
    "position": "Other Biological Attributes",
    "count": "Lesion Grading",
}

_WRONG = {
    "modality": ("x-ray", "ct", "mri", "ultrasound", "microscopy"),
    "organ": ("chest", "abdomen", "brain", "breast", "liver"),
    "position": ("left", "right", "in the centre", "at the lower edge"),
    "count": ("1", "2", "3", "4"),
}

_COPY = _FILMS.images
"""Number of the film that repeats film 1 under another name, packed at another level."""

_SLAKE_COPY = _FILMS.images - 1
"""Number of the film that shows a SLAKE test image."""


def tree(seed: int) -> Tree:
    """Make the folder: one zip with two questions an image in six member sets."""
    unpacked = folder_tree(seed)
    return Tree(unpacked.rows, {"OmniMedVQA.zip": zipped(unpacked.files)})


def folder_tree(seed: int) -> Tree:
    """Make the folder of those who unpacked the zip."""
    members: dict[str, bytes] = {}
    rows = 0
    for access, sets in (("Open-access", _OPEN), ("Restricted-access", (_RESTRICTED,))):
        for member in sets:
            found = [row for number in range(1, member.images + 1) for row in _questions(seed, member, number)]
            if member is _SCANS:
                found[3]["modality"] = found[3].pop("modality_type")
            name = f"OmniMedVQA/QA_information/{access}/{member.name}.json"
            members[name] = json.dumps(found, indent=4).encode()
            rows += len(found)
    for member in _OPEN:
        for number in range(1, member.images + 1):
            members[f"OmniMedVQA/{_path(member, number)}"] = _image(seed, member, number)
    return Tree(rows, members)


def _path(member: _Member, number: int) -> str:
    return f"Images/{member.name}/{member.name.lower().replace(' ', '_')}_{number:03d}.png"


def _image(seed: int, member: _Member, number: int) -> bytes:
    if member is _FILMS and number == _SLAKE_COPY:
        jpeg = slake.image(seed, slake.IN_OMNIMEDVQA)
        return png(np.asarray(Image.open(io.BytesIO(jpeg))))
    if member is _FILMS and number == _COPY:
        return png(_pixels(seed, member, 1), level=1)
    return png(_pixels(seed, member, number))


def _pixels(seed: int, member: _Member, number: int) -> Pixels:
    return drawn(seed, "omnimedvqa", f"{member.name}/{number}", _scene(seed, member, number))


def _scene(seed: int, member: _Member, number: int) -> Scene:
    if member is _FILMS and number == _SLAKE_COPY:
        return slake.shown(seed, slake.IN_OMNIMEDVQA)
    return facts(seed, "omnimedvqa", f"{member.name}/{_original(member, number)}", (member.kind,))


def _original(member: _Member, number: int) -> int:
    return 1 if member is _FILMS and number == _COPY else number


def _questions(seed: int, member: _Member, number: int) -> list[Row]:
    rng = stream(seed, "omnimedvqa", member.name, str(_original(member, number)))
    found = [ask for ask in asks(_scene(seed, member, number)).values() if ask.topic in _TYPES]
    return [_row(member, number, place, ask, _options(rng, ask)) for place, ask in enumerate(shuffled(rng, found)[:2])]


def _options(rng: np.random.Generator, ask: Ask) -> list[str]:
    if ask.closed:
        return ["Yes", "No"]
    wrong = [word for word in _WRONG[ask.topic] if word != ask.answer]
    return shuffled(rng, [word.capitalize() for word in (ask.answer, *shuffled(rng, wrong)[:3])])


def _row(member: _Member, number: int, place: int, ask: Ask, options: list[str]) -> Row:
    return {
        "dataset": member.name,
        "question_id": f"{member.name.replace(' ', '')}_{2 * number + place - 2:04d}",
        "question_type": _TYPES[ask.topic],
        "question": ask.question,
        "gt_answer": ask.answer.capitalize(),
        "image_path": _path(member, number),
        **{f"option_{letter}": option for letter, option in zip("ABCD", options, strict=False)},
        "modality_type": member.modality,
    }
