"""Varied English sentences in the manner of captions, reports, questions and abstracts, from word lists and numbers.

Words are drawn by rank (Zipf), numbers freely: sentences share their phrases as real ones do, and few are equal.
"""

import random
from itertools import accumulate

_IMAGES = """computed tomography;magnetic resonance imaging;chest radiograph;ultrasound;axial CT;coronal MRI;sagittal view;
T2-weighted image;T1-weighted image;angiogram;photomicrograph;hematoxylin and eosin staining;immunohistochemistry;
fluorescence micrograph;electron micrograph;PET scan;endoscopic view;fundus photograph;intraoperative photograph;
echocardiogram;mammogram;panoramic radiograph;optical coherence tomography;Western blot;survival curve;scatter plot;
bar chart;scintigraphy;fluoroscopy;colonoscopy;dermoscopic image;contrast-enhanced scan;lateral radiograph"""
_PLACES = """lung;left lung;right upper lobe;liver;kidney;right kidney;spleen;pancreas;brain;frontal lobe;cerebellum;thalamus;
spinal cord;lumbar spine;thoracic aorta;left ventricle;right atrium;mitral valve;coronary artery;carotid artery;portal vein;
femoral head;distal radius;proximal humerus;knee joint;hip;mandible;maxillary sinus;orbit;retina;cornea;optic nerve;thyroid;
parathyroid gland;adrenal gland;bladder;prostate;uterus;left ovary;breast;axilla;stomach;duodenum;ileum;appendix;colon;rectum;
gallbladder;common bile duct;peritoneum;abdominal wall;skin;bone marrow;lymph node;mediastinum;pleura;pericardium;trachea;
larynx;tongue;parotid gland;skull base;pituitary;hippocampus;basal ganglia;cervical spine;sacrum;scapula;clavicle;tibia"""
_FINDINGS = """mass;lesion;nodule;opacity;effusion;fracture;consolidation;hemorrhage;infarct;cyst;abscess;thrombus;aneurysm;
stenosis;calcification;edema;fibrosis;necrosis;tumor cells;inflammatory infiltrate;granuloma;metastasis;hematoma;fistula;
enhancement;hyperintensity;filling defect;pneumothorax;atelectasis;cavity;dissection;ulcer;polyp;perforation;obstruction;
dilatation;hernia;foreign body;collection of fluid;air bubble;soft tissue swelling;osteolysis;sclerosis;erosion;hyperplasia;
dysplasia;carcinoma;adenoma;lymphoma;sarcoma;meningioma;glioma;hemangioma;lipoma;teratoma;cardiomegaly;thickening"""
_KINDS = """small;large;well-defined;irregular;heterogeneous;homogeneous;diffuse;focal;multiple;solitary;bilateral;cystic;solid;
hypodense;hyperdense;hypoechoic;lobulated;spiculated;calcified;necrotic;vascular;mild;moderate;severe;extensive;subtle;
new;old;residual;recurrent;chronic;acute;benign;malignant;peripheral;central;nodular;linear;patchy;ring-enhancing;round"""
_VERBS = (
    "shows;demonstrates;reveals;confirms;suggests;indicates;depicts;illustrates;is consistent with;is suspicious for"
)
_TREATMENTS = """surgery;radiotherapy;chemotherapy;amoxicillin;cisplatin;prednisolone;metformin;insulin;aspirin;heparin;warfarin;
rituximab;bevacizumab;tamoxifen;methotrexate;cyclosporine;tacrolimus;interferon;ribavirin;ketamine;propofol;morphine;statins;
exercise;physiotherapy;hemodialysis;embolization;stent placement;drainage;ablation;resection;transplantation;levothyroxine"""
_PEOPLE = (
    """patient;woman;man;girl;boy;infant;farmer;nurse;smoker;athlete;teacher;pregnant woman;diabetic patient;veteran"""
)
_SIGNS = """fever;cough;chest pain;abdominal pain;headache;weight loss;fatigue;dyspnea;nausea;vomiting;jaundice;hematuria;
a rash;joint pain;blurred vision;seizures;confusion;syncope;palpitations;dysphagia;diarrhea;back pain;night sweats;edema"""
_OUTCOMES = "mortality;survival;recurrence;blood pressure;quality of life;length of stay;pain scores;tumor size;HbA1c;readmission"
_NORMAL = """The heart size is normal.;No pleural effusion or pneumothorax is seen.;The lungs are clear.;No acute osseous
abnormality.;The mediastinal contours are unremarkable.;There is no focal consolidation.;The hilar contours are normal.;
Pulmonary vascularity is within normal limits.;The visualized upper abdomen is unremarkable.;No free air is seen."""


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
    }.items()
}


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

    def _size(self) -> str:
        return f"{self.number(2, 90)} x {self.number(2, 90)} mm"

    def _lesion(self) -> str:
        return f"{self.word('kind')} {self.word('finding')} in the {self.word('place')}"

    def sentence(self) -> str:
        """Give a sentence of a caption."""
        kind = self.number(0, 8)
        if kind == 0:
            return f"{self.word('image').capitalize()} {self.word('verb')} a {self._lesion()} (arrow)."
        if kind == 1:
            return (
                f"A {self.number(1, 89)}-year-old {self.word('person')} with {self.word('sign')} and {self.word('sign')}: "
                f"{self.word('image')} {self.word('verb')} {self._lesion()} measuring {self._size()}."
            )
        if kind == 2:
            return f"After {self.number(2, 36)} months of {self.word('treatment')}, the {self._lesion()} had decreased to {self._size()}."
        if kind == 3:
            return f"({'abcdef'[self.number(0, 5)]}) {self.word('image').capitalize()} of the {self.word('place')} with {self.word('kind')} {self.word('finding')}."
        if kind == 4:
            return f"Arrowheads mark the {self.word('finding')} between the {self.word('place')} and the {self.word('place')}."
        if kind == 5:
            return f"Scale bar {self.number(5, 500)} µm, original magnification x{self.number(2, 60) * 10}; CD{self.number(1, 240)} was positive in {self.number(1, 99)}% of cells."
        if kind == 6:
            return f"Preoperative {self.word('image')} {self.word('verb')} {self.word('kind')} {self.word('finding')} with displacement of the {self.word('place')}."
        if kind == 7:
            return f"Comparison of {self.word('outcome')} with {self.word('treatment')} (n = {self.number(8, 900)}) and {self.word('treatment')} (n = {self.number(8, 900)}), p = 0.{self.number(1, 999):03}."
        return f"Note the {self.word('kind')} {self.word('finding')} near the {self.word('place')} and {self.word('kind')} changes of the {self.word('place')}."

    def caption(self) -> str:
        """Give a caption of one to four sentences."""
        return " ".join(self.sentence() for _ in range(self.number(1, 4)))

    def findings(self) -> str:
        """Give the findings of a chest film: normal sentences, and what is seen."""
        normal = {self.word("normal"): None for _ in range(self.number(2, 5))}
        seen = [
            f"There is a {self._lesion()}, {self.word('kind')} since the study of ___, measuring {self._size()}."
            for _ in range(self.number(0, 3))
        ]
        return " ".join((*seen, *normal))

    def impression(self) -> str:
        """Give an impression; a third say that all is normal."""
        if self.number(0, 2) == 0:
            return "No acute cardiopulmonary process."
        return f"{self.number(1, 2)}. {self.word('kind').capitalize()} {self._lesion()}, suspicious for {self.word('finding')}."

    def question(self) -> str:
        """Give a question on an image, of few or of many words."""
        kind = self.number(0, 4)
        if kind == 0:
            return "what is present?"
        if kind == 1:
            return f"is there {self.word('finding')} in the {self.word('place')}?"
        if kind == 2:
            return f"what does the {self.word('kind')} {self.word('finding')} near the {self.word('place')} show?"
        if kind == 3:
            return f"where is the {self.word('finding')} located?"
        return f"does the {self.word('image')} show {self.word('kind')} {self.word('finding')}?"

    def figure_question(self) -> str:
        """Give a question on a figure of an article, of which few are equal."""
        asked = ("What is the size of", "What is indicated by the arrow next to", "Which structure is compressed by")
        return f"{asked[self.number(0, 2)]} the {self._lesion()} on the {self.word('image')} after {self.word('treatment')}?"

    def options(self, name: str = "finding", count: int = 4) -> list[str]:
        """Give distinct options, the right one first."""
        found: dict[str, None] = {}
        while len(found) < count:
            found[f"{self.word('kind')} {self.word(name)}".capitalize()] = None
        return list(found)

    def exam(self) -> str:
        """Give a question of one line, as of an entrance exam."""
        asked = ("Treatment of choice for", "Most common cause of", "All are features of", "Investigation of choice in")
        return f"{asked[self.number(0, 3)]} {self._lesion()} with {self.word('sign')} in a {self.number(1, 89)} year old {self.word('person')} {'except' if self.number(0, 3) == 0 else 'is'}"

    def vignette(self) -> str:
        """Give a long question: a patient, findings, and what is asked."""
        story = (
            f"A {self.number(1, 89)}-year-old {self.word('person')} comes to the physician because of {self.word('sign')} and "
            f"{self.word('sign')} for {self.number(2, 30)} days. Pulse is {self.number(50, 140)}/min, blood pressure is "
            f"{self.number(80, 200)}/{self.number(40, 110)} mm Hg and temperature {self.number(35, 40)}.{self.number(0, 9)} C. "
        )
        return story + self.caption() + " " + self.sentence() + " Which of the following is the most likely diagnosis?"

    def study(self) -> str:
        """Give the question of a study, which names what was compared."""
        return f"Does {self.word('treatment')} improve {self.word('outcome')} compared with {self.word('treatment')} in {self.number(20, 900)} patients with {self._lesion()}?"

    def abstract(self) -> list[str]:
        """Give the sections of an abstract."""
        return [" ".join(self.sentence() for _ in range(self.number(2, 5))) for _ in range(3)]
