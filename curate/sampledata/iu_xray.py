"""IU X-Ray as on Kaggle: a table of reports, a table of their films, one folder of PNGs."""

from dataclasses import dataclass, replace

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


@dataclass(frozen=True, slots=True)
class _Film:
    uid: int
    file: str
    projection: str
    content: bytes


def tree(seed: int) -> Tree:
    """Make the folder: 56 reports with one or two films each, without splits."""
    reports = [_report(seed, uid) for uid in range(1, _REPORTS + 1)]
    films = [film for uid in range(1, _REPORTS + 1) for film in _films(seed, uid)]
    files = {f"images/images_normalized/{film.file}": film.content for film in films}
    files["indiana_reports.csv"] = table(_REPORT_HEADER, reports)
    projections = [(film.uid, film.file, film.projection) for film in films]
    files["indiana_projections.csv"] = table(("uid", "filename", "projection"), projections)
    return Tree(len(reports), files)


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
    films = [_Film(uid, f"{uid}_IM-{uid:04d}-1001.dcm.png", "Frontal", _encoded(uid, frontal))]
    if uid % _ONE_FILM_EVERY:
        lateral = drawn(seed, "iu_xray", f"{uid}/lateral", replace(scene, view="lateral"))
        films.append(_Film(uid, f"{uid}_IM-{uid:04d}-2001.dcm.png", "Lateral", png(lateral)))
    return films


def _encoded(uid: int, pixels: Pixels) -> bytes:
    if uid == _BOMB:
        return bomb_png()
    if uid == _DEEP:
        return deep_png(pixels)
    return png(pixels, mode={_SEE_THROUGH: "RGBA", _PALETTE: "P"}.get(uid, ""))
