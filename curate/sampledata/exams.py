"""Exam questions and study abstracts from templates: general textbook knowledge, no real exam's text."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from .seeds import pick, shuffled


@dataclass(frozen=True, slots=True)
class Condition:
    """What the templates know of a disease; each field is unlike every other condition's."""

    name: str
    complaint: str
    sign: str
    test: str
    treatment: str


CONDITIONS = (
    Condition("pneumonia", "cough and fever", "crackles over one lung base", "chest radiograph", "amoxicillin"),
    Condition("asthma", "episodes of wheezing", "a prolonged expiration", "spirometry", "inhaled salbutamol"),
    Condition("gout", "a painful big toe", "a red and swollen joint", "joint aspiration", "colchicine"),
    Condition(
        "appendicitis", "pain that moved to the right groin", "rebound tenderness", "abdominal ultrasound", "surgery"
    ),
    Condition("hypothyroidism", "weight gain and cold intolerance", "dry skin", "serum TSH", "levothyroxine"),
    Condition("scabies", "itching at night", "burrows between the fingers", "skin scraping", "permethrin cream"),
    Condition("iron deficiency", "fatigue and pallor", "spoon-shaped nails", "serum ferritin", "oral iron"),
    Condition("migraine", "one-sided throbbing headaches", "photophobia", "a headache diary", "sumatriptan"),
    Condition("glaucoma", "a painful red eye", "a mid-dilated pupil", "tonometry", "timolol eye drops"),
    Condition("cystitis", "burning on urination", "suprapubic tenderness", "urinalysis", "nitrofurantoin"),
    Condition("scurvy", "bleeding gums", "corkscrew hairs", "plasma ascorbate", "vitamin C"),
    Condition("tetanus", "a stiff jaw", "risus sardonicus", "clinical examination", "immunoglobulin and metronidazole"),
)

_PEOPLE = ("man", "woman", "farmer", "teacher", "nurse", "student", "retired driver", "office worker")
_PLACES = ("the clinic", "the emergency department", "a family physician", "an outpatient office")
_SPANS = ("two days", "four days", "a week", "ten days", "three weeks", "two months")
_HISTORIES = (
    "The medical history is unremarkable",
    "Blood pressure has been well controlled for years",
    "There is no recent travel",
    "A sibling had similar complaints last year",
    "No drugs are taken regularly",
    "Sleep has been poor for some time",
)
_ASKS = {
    "name": "Which of the following is the most likely diagnosis?",
    "test": "Which of the following is the best test to confirm the diagnosis?",
    "treatment": "Which of the following is the most appropriate treatment?",
}

_SHORT = {
    "name": (
        "{complaint} together with {sign} suggests",
        "Diagnosis in a patient with {complaint}",
        "{sign} is seen in",
    ),
    "test": ("Investigation of choice in {name}", "{name} is best confirmed by"),
    "treatment": ("Treatment of choice for {name}", "First line management of {name}", "{name} is treated with"),
    "sign": ("Typical sign of {name}", "On examination, {name} shows"),
}
_SETTINGS = ("", " in an adult", " in the elderly", " in primary care", " in a young patient")


@dataclass(frozen=True, slots=True)
class Exam:
    """A question with its options, the place of the right one (from 0) and the condition behind it."""

    question: str
    options: tuple[str, ...]
    correct: int
    condition: Condition


def vignettes(rng: np.random.Generator) -> Iterator[Exam]:
    """Give long questions without end, no two with the same text."""
    seen: set[str] = set()
    while True:
        condition, field = pick(rng, CONDITIONS), pick(rng, list(_ASKS))
        text = (
            f"A {rng.integers(19, 90)}-year-old {pick(rng, _PEOPLE)} comes to {pick(rng, _PLACES)} because of "
            f"{condition.complaint} for {pick(rng, _SPANS)}. {pick(rng, _HISTORIES)}. Pulse is "
            f"{rng.integers(60, 110)}/min. Examination shows {condition.sign}. {_ASKS[field]}"
        )
        if text not in seen:
            seen.add(text)
            yield _exam(rng, text, condition, field)


def one_liners(rng: np.random.Generator) -> Iterator[Exam]:
    """Give every short question once, in drawn order."""
    every = [
        (condition, field, template, setting)
        for condition in CONDITIONS
        for field, templates in _SHORT.items()
        for template in templates
        for setting in _SETTINGS
    ]
    for condition, field, template, setting in shuffled(rng, every):
        words = {name: getattr(condition, name) for name in Condition.__slots__}
        text = template.format(**words) + setting
        yield _exam(rng, _first_upper(text), condition, field)


def another_option(exam: Exam) -> Exam:
    """Add a wrong option at the end: what the first condition that is not among the options would have there."""
    right = exam.options[exam.correct]
    field = next(name for name in _ASKS if _first_upper(getattr(exam.condition, name)) == right)
    rest = [_first_upper(getattr(other, field)) for other in CONDITIONS]
    return replace(exam, options=(*exam.options, next(option for option in rest if option not in exam.options)))


def _exam(rng: np.random.Generator, question: str, condition: Condition, field: str) -> Exam:
    others = shuffled(rng, [other for other in CONDITIONS if other is not condition])[:3]
    options = shuffled(rng, [_first_upper(getattr(each, field)) for each in (condition, *others)])
    return Exam(question, tuple(options), options.index(_first_upper(getattr(condition, field))), condition)


def _first_upper(text: str) -> str:
    return text[0].upper() + text[1:]
