"""Sentences about a `Scene`: questions with their answers, captions and radiology reports."""

from dataclasses import dataclass

import numpy as np

from .scenes import Scene
from .seeds import pick

_MODALITY = {
    "film": "x-ray",
    "ct": "ct",
    "mr": "mri",
    "sonogram": "ultrasound",
    "tile": "microscopy",
    "plot": "bar chart",
}

FINDING = {"film": "opacity", "ct": "lesion", "mr": "lesion", "sonogram": "mass", "tile": "vacuole", "plot": "bar"}

_PLURAL = {"opacity": "opacities", "mass": "masses"}

_IMAGE = {
    "film": "radiograph",
    "ct": "computed tomography image",
    "mr": "magnetic resonance image",
    "sonogram": "ultrasound image",
    "tile": "photomicrograph",
    "plot": "bar chart",
}

_NUMBER = ("no", "a single", "two", "three", "four", "five")

_CLINIC = (
    "The patient was seen in the outpatient clinic",
    "The examination was part of a routine follow-up",
    "The image was taken before treatment began",
    "The patient had reported pain for several weeks",
    "The image was acquired on the day of admission",
)


@dataclass(frozen=True, slots=True)
class Ask:
    """A question about a picture.

    Attributes:
        topic: `modality`, `plane`, `organ`, `presence`, `position`, `count`, `size`, `stain` or `density`.
        question, answer: in English, answer in lower case.
        closed: whether the answer is yes or no.
    """

    topic: str
    question: str
    answer: str
    closed: bool = False


def asks(scene: Scene) -> dict[str, Ask]:
    """Give every question that the scene's picture answers, by topic, the modality first."""
    noun = FINDING[scene.kind]
    found = [Ask("modality", "What type of image is this?", _MODALITY[scene.kind])]
    if scene.kind == "plot":
        return {"modality": found[0], "count": Ask("count", "How many bars are shown?", str(scene.spots))}
    if scene.view:
        found.append(Ask("plane", "What plane is this?", scene.view))
    if scene.kind == "tile":
        found.append(Ask("stain", "What stain was used?", scene.stain.lower()))
        found.append(Ask("density", "Are the nuclei crowded?", _yes(scene.large), closed=True))
    else:
        found.append(Ask("organ", "What organ is shown in this image?", scene.organ))
    article = "an" if noun[0] in "aeiou" else "a"
    found.append(Ask("presence", f"Is there {article} {noun}?", _yes(scene.spots > 0), closed=True))
    if scene.spots:
        found.append(Ask("position", f"On which side of the image is the {noun}?", scene.side))
        found.append(Ask("count", f"How many {_plural(noun)} are there?", str(scene.spots)))
    if scene.kind == "film":
        found.append(Ask("size", "Is the heart enlarged?", _yes(scene.large), closed=True))
    return {ask.topic: ask for ask in found}


def _plural(noun: str) -> str:
    return _PLURAL.get(noun, f"{noun}s")


def _finding(scene: Scene) -> str:
    """Describe the finding in a few words: `two opacities on the left`."""
    noun = FINDING[scene.kind]
    count = f"{_NUMBER[scene.spots]} {noun if scene.spots == 1 else _plural(noun)}"
    return f"{count} on the {scene.side}" if scene.side else count


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """Describe the picture in two sentences, as a figure's caption."""
    view = f"{scene.view} " if scene.view and scene.view != "pa" else ""
    subject = f"{view}{_IMAGE[scene.kind]}".capitalize()
    if scene.kind == "plot":
        return f"{subject} that compares {_finding(scene)} between the treatment groups of the study."
    if scene.kind == "tile":
        crowd = "crowded" if scene.large else "scattered"
        return f"{subject} of the biopsy ({scene.stain} stain) with {crowd} nuclei and {_finding(scene)}."
    verb = pick(rng, ("shows", "demonstrates", "reveals"))
    return f"{subject} of the {scene.organ} {verb} {_finding(scene)}. {pick(rng, _CLINIC)}."


def findings(scene: Scene, rng: np.random.Generator) -> str:
    """Describe a chest film as the findings section of a report."""
    heart = (
        "The heart is enlarged."
        if scene.large
        else pick(rng, ("Heart size is normal.", "The heart is normal in size."))
    )
    if scene.spots:
        lungs = f"There {'is' if scene.spots == 1 else 'are'} {_finding(scene)}."
    else:
        lungs = pick(rng, ("The lungs are clear.", "No focal opacity is seen."))
    rest = pick(rng, ("No pleural effusion.", "No pneumothorax.", "The bony thorax is intact."))
    return f"{heart} {lungs} {rest}"


def impression(scene: Scene) -> str:
    """Describe a chest film as the impression section of a report."""
    named = [text for text, there in (("Cardiomegaly.", scene.large), (f"{_lungs(scene)}.", scene.spots > 0)) if there]
    return " ".join(named) or "No acute cardiopulmonary abnormality."


def _lungs(scene: Scene) -> str:
    return f"{scene.side.capitalize()}-sided {'opacity' if scene.spots == 1 else 'opacities'}"


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"
