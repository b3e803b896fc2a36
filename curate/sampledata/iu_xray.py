"""IU X-Ray.

Kaggle: a table of reports, a table of their films, one folder of PNGs. Original: an XML file a report, also for those
without a film, and the PNGs under longer names. R2Gen: the findings of the reports with two films, in three splits.
"""

import json
from dataclasses import dataclass, replace
from xml.sax.saxutils import escape

from .faults import bomb_png, deep_png
from .files import Tree, png, table
from .phrases import findings, impression
from .pictures import Pixels
from .plates import drawn, facts
from .scenes import Scene
from .seeds import pick, stream

_REPORTS = 56
_ONE_FILM_EVERY = 8
_NO_FINDINGS = (7, 21, 34)
_NO_TEXT = 22
_DEEP, _SEE_THROUGH, _PALETTE, _BOMB = 16, 24, 32, 40
"""Reports with one film in a rare format; each one's number is a multiple of `_ONE_FILM_EVERY`."""

_REPORT_HEADER = ("uid", "MeSH", "Problems", "image", "indication", "comparison", "findings", "impression")
_INDICATIONS = ("XXXX-year-old female, chest pain", "Shortness of breath since XXXX", "Cough, fever", "Preop XXXX.")


_FILMLESS = (57, 58)
"""Reports without a film, which Kaggle's copy leaves out."""

_VIEWS = ("Frontal", "Lateral")
_R2GEN_SPLITS = ("train",) * 7 + ("val",) + ("test",) * 2


@dataclass(frozen=True, slots=True)
class _Film:
    uid: int
    file: str
    projection: str
    content: bytes

    @property
    def id(self) -> str:
        """Give the name that the XML knows it by."""
        return f"CXR{self.uid}_{self.file.removesuffix('.dcm.png')}"


def tree(seed: int) -> Tree:
    """Make the folder: 56 reports with one or two films each, without splits."""
    reports = [_report(seed, uid) for uid in range(1, _REPORTS + 1)]
    films = [film for uid in range(1, _REPORTS + 1) for film in _films(seed, uid)]
    files = {f"images/images_normalized/{film.file}": film.content for film in films}
    files["indiana_reports.csv"] = table(_REPORT_HEADER, reports)
    projections = [(film.uid, film.file, film.projection) for film in films]
    files["indiana_projections.csv"] = table(("uid", "filename", "projection"), projections)
    return Tree(len(reports), files)


def original_tree(seed: int) -> Tree:
    """Make NLM's folder: the 56 reports of `tree` and two without a film."""
    films = {uid: _films(seed, uid) for uid in range(1, _REPORTS + 1)} | {uid: [] for uid in _FILMLESS}
    files = {f"NLMCXR_png/{film.id}.png": film.content for found in films.values() for film in found}
    for uid, found in films.items():
        files[f"ecgen-radiology/{uid}.xml"] = _xml(_report(seed, uid), [film.id for film in found])
    return Tree(len(films), files)


def _xml(report: tuple[object, ...], films: list[str]) -> bytes:
    cells = {name: escape(str(cell or "")) for name, cell in zip(_REPORT_HEADER, report, strict=True)}
    sections = "".join(
        f'\n        <AbstractText Label="{name.upper()}">{cells[name]}</AbstractText>'
        for name in ("comparison", "indication", "findings", "impression")
    )
    terms = "".join(f"\n    <major>{term}</major>" for term in cells["MeSH"].split(";"))
    images = "".join(
        f'\n  <parentImage id="{film}"><caption>{cells["image"]}</caption></parentImage>' for film in films
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<eCitation>
  <uId id="CXR{cells["uid"]}"/>
  <licenseType>open-access</licenseType>
  <licenseURL>http://creativecommons.org/licenses/by-nc-nd/4.0/</licenseURL>
  <MedlineCitation>
    <Article>
      <Abstract>{sections}
      </Abstract>
    </Article>
  </MedlineCitation>
  <MeSH>{terms}
  </MeSH>{images}
</eCitation>
""".encode()


def r2gen_tree(seed: int) -> Tree:
    """Make R2Gen's folder: the findings of `tree`, where there are some and two films."""
    files: dict[str, bytes] = {}
    splits: dict[str, list[dict[str, object]]] = {"train": [], "val": [], "test": []}
    for uid in range(1, _REPORTS + 1):
        report = dict(zip(_REPORT_HEADER, _report(seed, uid), strict=True))
        films = _films(seed, uid)
        if report["findings"] is None or len(films) != len(_VIEWS):
            continue
        name, split = f"CXR{uid}_IM-{uid:04d}", _R2GEN_SPLITS[uid % len(_R2GEN_SPLITS)]
        places = [f"{name}/{number}.png" for number in range(len(films))]
        splits[split].append({"id": name, "report": report["findings"], "image_path": places, "split": split})
        files |= {f"images/{place}": film.content for place, film in zip(places, films, strict=True)}
    files["annotation.json"] = json.dumps(splits).encode()
    return Tree(sum(map(len, splits.values())), files)


def _scene(seed: int, uid: int) -> Scene:
    return replace(facts(seed, "iu_xray", str(uid), ("film",)), view="pa")


def _report(seed: int, uid: int) -> tuple[object, ...]:
    scene = _scene(seed, uid)
    rng = stream(seed, "iu_xray", str(uid), "report")
    terms = [term for term, there in (("Cardiomegaly", scene.large), ("Opacity", scene.spots > 0)) if there]
    problems = ";".join(terms) or "normal"
    mesh = ";".join(f"{term}/{scene.side or 'mild'}" if term == "Opacity" else term for term in terms) or "normal"
    study = pick(rng, ("Xray Chest PA and Lateral", "Chest, 2 views, frontal and lateral"))
    compared = pick(rng, ("None.", "XXXX, XXXX.", None))
    found = None if uid in (*_NO_FINDINGS, _NO_TEXT) else findings(scene, rng)
    concluded = None if uid == _NO_TEXT else impression(scene)
    return uid, mesh, problems, study, pick(rng, _INDICATIONS), compared, found, concluded


def _films(seed: int, uid: int) -> list[_Film]:
    scene = _scene(seed, uid)
    frontal = drawn(seed, "iu_xray", f"{uid}/frontal", scene)
    films = [_Film(uid, f"{uid}_IM-{uid:04d}-1001.dcm.png", _VIEWS[0], _encoded(uid, frontal))]
    if uid % _ONE_FILM_EVERY:
        lateral = drawn(seed, "iu_xray", f"{uid}/lateral", replace(scene, view="lateral"))
        films.append(_Film(uid, f"{uid}_IM-{uid:04d}-2001.dcm.png", _VIEWS[1], png(lateral)))
    return films


def _encoded(uid: int, pixels: Pixels) -> bytes:
    if uid == _BOMB:
        return bomb_png()
    if uid == _DEEP:
        return deep_png(pixels)
    return png(pixels, mode={_SEE_THROUGH: "RGBA", _PALETTE: "P"}.get(uid, ""))
