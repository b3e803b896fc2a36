"""Varied English sentences in the manner of captions, reports, questions and abstracts, from word lists and numbers.

Words are drawn by rank (Zipf), numbers freely: sentences share their phrases as real ones do, and few are equal.
"""

import random
import re
from itertools import accumulate

_IMAGES = """computed tomography;magnetic resonance imaging;chest radiograph;ultrasound;axial CT;coronal MRI;
sagittal view;T2-weighted image;T1-weighted image;angiogram;photomicrograph;hematoxylin and eosin staining;
immunohistochemistry;fluorescence micrograph;electron micrograph;PET scan;endoscopic view;fundus photograph;
intraoperative photograph;echocardiogram;mammogram;panoramic radiograph;optical coherence tomography;Western blot;
survival curve;scatter plot;bar chart;scintigraphy;fluoroscopy;colonoscopy;dermoscopic image;contrast-enhanced scan;
lateral radiograph"""
_PLACES = """lung;left lung;right upper lobe;liver;kidney;right kidney;spleen;pancreas;brain;frontal lobe;
cerebellum;thalamus;spinal cord;lumbar spine;thoracic aorta;left ventricle;right atrium;mitral valve;
coronary artery;carotid artery;portal vein;femoral head;distal radius;proximal humerus;knee joint;hip;mandible;
maxillary sinus;orbit;retina;cornea;optic nerve;thyroid;parathyroid gland;adrenal gland;bladder;prostate;uterus;
left ovary;breast;axilla;stomach;duodenum;ileum;appendix;colon;rectum;gallbladder;common bile duct;peritoneum;
abdominal wall;skin;bone marrow;lymph node;mediastinum;pleura;pericardium;trachea;larynx;tongue;parotid gland;
skull base;pituitary;hippocampus;basal ganglia;cervical spine;sacrum;scapula;clavicle;tibia"""
_FINDINGS = """mass;lesion;nodule;opacity;effusion;fracture;consolidation;hemorrhage;infarct;cyst;abscess;thrombus;
aneurysm;stenosis;calcification;edema;fibrosis;necrosis;tumor cells;inflammatory infiltrate;granuloma;metastasis;
hematoma;fistula;enhancement;hyperintensity;filling defect;pneumothorax;atelectasis;cavity;dissection;ulcer;polyp;
perforation;obstruction;dilatation;hernia;foreign body;collection of fluid;air bubble;soft tissue swelling;
osteolysis;sclerosis;erosion;hyperplasia;dysplasia;carcinoma;adenoma;lymphoma;sarcoma;meningioma;glioma;hemangioma;
lipoma;teratoma;cardiomegaly;thickening"""
_KINDS = """small;large;well-defined;irregular;heterogeneous;homogeneous;diffuse;focal;multiple;solitary;bilateral;
cystic;solid;hypodense;hyperdense;hypoechoic;lobulated;spiculated;calcified;necrotic;vascular;mild;moderate;severe;
extensive;subtle;new;old;residual;recurrent;chronic;acute;benign;malignant;peripheral;central;nodular;linear;patchy;
ring-enhancing;round"""
_VERBS = (
    "shows;demonstrates;reveals;confirms;suggests;indicates;depicts;illustrates;is consistent with;is suspicious for"
)
_TREATMENTS = """surgery;radiotherapy;chemotherapy;amoxicillin;cisplatin;prednisolone;metformin;insulin;aspirin;
heparin;warfarin;rituximab;bevacizumab;tamoxifen;methotrexate;cyclosporine;tacrolimus;interferon;ribavirin;ketamine;
propofol;morphine;statins;exercise;physiotherapy;hemodialysis;embolization;stent placement;drainage;ablation;
resection;transplantation;levothyroxine"""
_PEOPLE = (
    """patient;woman;man;girl;boy;infant;farmer;nurse;smoker;athlete;teacher;pregnant woman;diabetic patient;veteran"""
)
_SIGNS = """fever;cough;chest pain;abdominal pain;headache;weight loss;fatigue;dyspnea;nausea;vomiting;jaundice;
hematuria;a rash;joint pain;blurred vision;seizures;confusion;syncope;palpitations;dysphagia;diarrhea;back pain;
night sweats;edema"""
_OUTCOMES = """mortality;survival;recurrence;blood pressure;quality of life;length of stay;pain scores;tumor size;
HbA1c;readmission"""
_NORMAL = """The heart size is normal.;No pleural effusion or pneumothorax is seen.;The lungs are clear.;
No acute osseous abnormality.;The mediastinal contours are unremarkable.;There is no focal consolidation.;
The hilar contours are normal.;Pulmonary vascularity is within normal limits.;
The visualized upper abdomen is unremarkable.;No free air is seen."""


def _words(text: str) -> tuple[list[str], list[float]]:
    words = [" ".join(word.split()) for word in text.split(";")]
    return words, list(accumulate(1 / (rank + 3) for rank in range(len(words))))


_LISTS = {
    name: _words(text)
    for name, text in {
        "image": _IMAGES,
        "place": _PLACES,
        "finding": _FINDINGS,
        "kind": _KINDS,
        "verb": _VERBS,
        "treatment": _TREATMENTS,
        "person": _PEOPLE,
        "sign": _SIGNS,
        "outcome": _OUTCOMES,
        "normal": _NORMAL,
        "letter": "A;B;C;D;E;F",
    }.items()
}


_SLOT = re.compile(r"\{(\w+)(?::(\d+):(\d+))?\}")
"""A slot of a template: a list's name, or `n` with the least and the greatest number."""

_LESION = "{kind} {finding} in the {place}"
_SIZE = "{n:2:90} x {n:2:90} mm"
_CAPTION = (
    f"{{Image}} {{verb}} a {_LESION} (arrow).",
    "A {n:1:89}-year-old {person} with {sign} and {sign}: {image} {verb} " + f"{_LESION} measuring {_SIZE}.",
    "After {n:2:36} months of {treatment}, the " + f"{_LESION} had decreased to {_SIZE}.",
    "({letter}) {Image} of the {place} with {kind} {finding}.",
    "Arrowheads mark the {finding} between the {place} and the {place}.",
    "Scale bar {n:5:500} µm, original magnification x{n:2:60}0; CD{n:1:240} was positive in {n:1:99}% of cells.",
    "Preoperative {image} {verb} {kind} {finding} with displacement of the {place}.",
    "Comparison of {outcome} with {treatment} (n = {n:8:900}) and {treatment} (n = {n:8:900}), p = 0.{n:100:999}.",
    "Note the {kind} {finding} near the {place} and {kind} changes of the {place}.",
)
_SEEN = f"There is a {_LESION}, {{kind}} since the study of ___, measuring {_SIZE}."
_IMPRESSION = (
    "No acute cardiopulmonary process.",
    *2 * (f"{{n:1:2}}. {{Kind}} {_LESION}, suspicious for {{finding}}.",),
)
_QUESTIONS = (
    "what is present?",
    "is there {finding} in the {place}?",
    "what does the {kind} {finding} near the {place} show?",
    "where is the {finding} located?",
    "does the {image} show {kind} {finding}?",
)
_FIGURE_QUESTIONS = tuple(
    f"{asked} the {_LESION} on the {{image}} after {{treatment}}?"
    for asked in ("What is the size of", "What is indicated by the arrow next to", "Which structure is compressed by")
)
_EXAM = tuple(
    f"{asked} {_LESION} with {{sign}} in a {{n:1:89}} year old {{person}} is"
    for asked in (
        "Treatment of choice for",
        "Most common cause of",
        "The first feature of",
        "Investigation of choice in",
    )
)
_VIGNETTE = (
    "A {n:1:89}-year-old {person} comes to the physician because of {sign} and {sign} for {n:2:30} days. Pulse is "
    "{n:50:140}/min, blood pressure is {n:80:200}/{n:40:110} mm Hg and temperature {n:35:40}.{n:0:9} C."
)
_STUDY = f"Does {{treatment}} improve {{outcome}} compared with {{treatment}} in {{n:20:900}} patients with {_LESION}?"


class Texts:
    """Sentences of one random stream; equal seeds give equal sentences."""

    def __init__(self, *seed: object) -> None:
        self._random = random.Random(repr(seed))

    def word(self, name: str) -> str:
        """Draw from one of the lists."""
        words, weights = _LISTS[name]
        return self._random.choices(words, cum_weights=weights)[0]

    def number(self, low: int, high: int) -> int:
        """Draw a number, both ends included."""
        return low + int(self._random.random() * (high - low + 1))

    def _fill(self, *templates: str) -> str:
        """Draw one of the templates, and fill its slots; a name with a capital gives a word with one."""
        template = templates[self.number(0, len(templates) - 1)]
        return _SLOT.sub(self._slot, template)

    def _slot(self, match: re.Match[str]) -> str:
        name, low, high = match.groups()
        if name == "n":
            return str(self.number(int(low), int(high)))
        word = self.word(name.lower())
        return word if name.islower() else word.capitalize()

    def sentence(self) -> str:
        """Give a sentence of a caption."""
        return self._fill(*_CAPTION)

    def caption(self) -> str:
        """Give a caption of one to four sentences."""
        return " ".join(self.sentence() for _ in range(self.number(1, 4)))

    def findings(self) -> str:
        """Give the findings of a chest film: what is seen, then normal sentences."""
        normal = {self.word("normal"): None for _ in range(self.number(2, 5))}
        seen = [self._fill(_SEEN) for _ in range(self.number(0, 3))]
        return " ".join((*seen, *normal))

    def impression(self) -> str:
        """Give an impression; a third say that all is normal."""
        return self._fill(*_IMPRESSION)

    def question(self) -> str:
        """Give a question on an image, of few or of many words."""
        return self._fill(*_QUESTIONS)

    def figure_question(self) -> str:
        """Give a question on a figure of an article, of which few are equal."""
        return self._fill(*_FIGURE_QUESTIONS)

    def options(self, count: int = 4) -> list[str]:
        """Give distinct options, the right one first."""
        found: dict[str, None] = {}
        while len(found) < count:
            found[self._fill("{Kind} {finding}")] = None
        return list(found)

    def exam(self) -> str:
        """Give a question of one line, as of an entrance exam."""
        return self._fill(*_EXAM)

    def vignette(self) -> str:
        """Give a long question: a patient, findings, and what is asked."""
        return (
            f"{self._fill(_VIGNETTE)} {self.caption()} {self.sentence()} Which of these is the most likely diagnosis?"
        )

    def study(self) -> str:
        """Give the question of a study, which names what was compared."""
        return self._fill(_STUDY)

    def abstract(self) -> list[str]:
        """Give the sections of an abstract."""
        return [" ".join(self.sentence() for _ in range(self.number(2, 5))) for _ in range(3)]
