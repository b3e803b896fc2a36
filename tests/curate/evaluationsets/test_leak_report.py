"""After a build nothing of an evaluation set is left in training, whatever copies of its images there are."""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from medmix.cli import main
from medmix.curate import check
from medmix.curate.build import BuildOptions, build
from medmix.curate.copies import confirm
from medmix.curate.decide import contamination
from medmix.curate.decide.candidates import dropped
from medmix.curate.decide.copy_search import CopySearch
from medmix.curate.evaluationsets import leak_report
from medmix.curate.measure import images
from medmix.curate.mixture import CopyRule, EvaluationSet
from medmix.curate.mixtures import load
from medmix.curate.write import manifest

from ..pictures import ALTERATIONS, beside, chart, jpeg, picture

BUDGET = 1_000_000


def encoded(image: Image.Image, name: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, name, **options)
    return out.getvalue()


FILES: dict[str, Callable[[Image.Image], bytes]] = {
    "png": lambda image: encoded(image, "PNG"),
    "bmp": lambda image: encoded(image, "BMP"),
    "tiff": lambda image: encoded(image, "TIFF"),
    "jpeg 95": lambda image: encoded(image, "JPEG", quality=95),
    "jpeg 50": lambda image: encoded(image, "JPEG", quality=50),
    "half size": lambda image: encoded(ALTERATIONS["half size"](image), "PNG"),
    "flip": lambda image: encoded(ALTERATIONS["flip"](image), "PNG"),
    "crop": lambda image: encoded(ALTERATIONS["crop of 5 %"](image), "JPEG", quality=90),
}
"""Files of one picture; the first three have equal pixels."""


def mix_of(
    folder: Path, copies: Sequence[tuple[bytes, str]], rest: str = "", evaluation: str = "[{source: slake}]"
) -> Path:
    """Build a mix of SLAKE with these images and splits, each with a question of its own."""
    rows: dict[str, list[dict]] = {"train": [], "validate": [], "test": []}
    for number, (data, split) in enumerate(copies):
        name = f"xmlab{number}"
        path = folder / "root/slake/Slake1.0/imgs" / name / "source.jpg"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        question = {"qid": number, "question": f"Which organ number {number} is seen here?", "answer": "Lung"}
        image = {"img_id": number, "img_name": f"{name}/source.jpg", "modality": "CT"}
        rows[split].append({**question, **image, "q_lang": "en", "answer_type": "OPEN"})
    for split, found in rows.items():
        (folder / f"root/slake/Slake1.0/{split}.json").write_text(json.dumps(found))
    mixture = f"name: m\nversion: 1.0.0\ndescription: d\nsources: {{slake: {{}}}}\nevaluation: {evaluation}\n{rest}"
    (folder / "m.yaml").write_text(mixture)
    build(load(str(folder / "m.yaml")), folder / "root", folder / "mix", BuildOptions())
    return folder / "mix"


def fates(mix: Path) -> list[tuple[str, str, str]]:
    return pl.read_parquet(mix / "ledger.parquet").select("split", "outcome", "reason").rows()


def test_copies_of_an_image_whose_pixels_are_in_the_test_split_are_dropped_as_it_is(tmp_path):
    """The PNG is read first and equals the test image, so it alone is paired with the others by fingerprint."""
    test = encoded(picture(1, 320, 320), "JPEG", quality=90)
    copies = [FILES[name](Image.open(io.BytesIO(test))) for name in ("png", "jpeg 50", "half size")]
    mix = mix_of(tmp_path, [*((data, "train") for data in copies), (test, "test")])
    assert fates(mix) == [("train", "dropped", "contaminated")] * 3 + [("test", "kept", "")]
    assert pl.read_parquet(mix / "ledger.parquet")["transformation"].str.split(";").list.first().to_list() == [
        "",
        "re-encoded, resized or recoloured",
        "re-encoded, resized or recoloured",
        "",
    ]


def stored(mix: Path, *splits: str) -> list[bytes]:
    """Give the images of the records of these splits."""
    files = [file for split in splits for file in sorted(mix.glob(f"*/*/{split}-*.parquet"))]
    return [image["bytes"] for file in files for image in pl.read_parquet(file)["images"].explode()]


def test_check_finds_the_leaks_that_a_build_let_through(tmp_path, monkeypatch):
    """Nothing but the search over the finished mix can notice that a stage failed."""
    monkeypatch.setattr(contamination, "drops", lambda rows, *_: dropped(rows.head(0), "", pl.lit("")))
    monkeypatch.setattr(CopySearch, "between", lambda self, copies, *_: copies)
    copies = [("png", "train"), ("flip", "validate"), ("half size", "test")]
    mix = mix_of(tmp_path, [(FILES[name](picture(1)), split) for name, split in copies])
    monkeypatch.undo()
    findings, _, leaks = check.verify(mix, workers=1)
    assert [finding.partition(" (")[0] for finding in findings] == [
        "data: slake/0: leaks slake/2 of slake test: near-duplicate",
        "data: slake/1: leaks slake/2 of slake test: near-duplicate",
    ]
    assert (leaks.training, leaks.items, leaks.compared) == (2, 1, 2)


def test_the_search_over_a_mix_takes_panels_for_leaks_as_its_mixture_does(tmp_path, monkeypatch, capsys):
    """Every altered copy is confirmed as a panel: by default it falls, and a mix that keeps it is found sound."""
    compare = confirm.compare

    def as_panel(one, other):
        match = compare(one, other)
        return replace(match, kind="panel") if match.same else match

    monkeypatch.setattr(confirm, "compare", as_panel)
    images = [(FILES[name](picture(1)), split) for name, split in (("png", "train"), ("flip", "test"))]
    assert fates(mix_of(tmp_path / "default", images)) == [("train", "dropped", "contaminated"), ("test", "kept", "")]
    mix = mix_of(tmp_path / "kept", images, "copies: {leaks: {panel: keep}}")
    assert fates(mix) == [("train", "kept", ""), ("test", "kept", "")]
    findings, _, leaks = check.verify(mix, workers=1)
    assert (findings, leaks.hits, leaks.compared) == ([], [], 1)
    assert [hit["kind"] for hit in leak_report.own_leaks(mix, [EvaluationSet("slake")], CopyRule(), 1).hits] == [
        "panel"
    ]
    against = leak_report.report(mix, [mix], "test", workers=1)
    assert ([row["panel"] for row in against["matrix"]], against["hits"]) == ([1], [])
    folder = tmp_path / "kept/root/slake/Slake1.0/imgs/xmlab0"
    with pytest.raises(SystemExit) as stop:
        main(["leaks", str(folder), "--against", str(mix), "--workers", "1"])
    assert stop.value.code == 1
    assert "source.jpg: shares a panel with the image of slake/1 (" in capsys.readouterr().out


def test_a_mix_is_searched_for_its_own_evaluation_items_alone(tmp_path):
    images = [(FILES["png"](picture(seed)), split) for seed, split in enumerate(["train", "train", "validate", "test"])]
    assert check.verify(mix_of(tmp_path, images), workers=1).leaks[2:] == (3, 1, 0)
    (tmp_path / "m.yaml").write_text((tmp_path / "m.yaml").read_text().replace("evaluation:", "evaluation: [] #"))
    build(load(str(tmp_path / "m.yaml")), tmp_path / "root", tmp_path / "unnamed", BuildOptions())
    assert check.verify(tmp_path / "unnamed", workers=1) == ([], [], None)


def test_pictures_that_two_patients_share_are_held_out_together_or_listed(tmp_path):
    """Every picture is in two groups: with a holdout all stay together; between upstream's splits they are listed."""
    twice = [(FILES[name](picture(seed)), "test") for seed in range(8) for name in ("png", "jpeg 50")]
    held_out = mix_of(tmp_path / "held-out", twice, "splits: {test: train, holdout: 0.5}", evaluation="[]")
    document = manifest.read(held_out)
    assert set(document["totals"]["kept_by_split"]) == {"train", "validation"}
    assert document["validation_leaks"] == []
    splits = [(FILES["png"](picture(1)), "train"), (FILES["jpeg 50"](picture(1)), "validate")]
    (listed,) = manifest.read(mix_of(tmp_path / "upstream", splits))["validation_leaks"]
    assert (listed["source"], listed["set"], listed["near-duplicate"]) == ("slake", "slake validation", 1)


SPLITS = st.sampled_from(["train", "validate", "test"])
COPY = st.tuples(st.integers(1, 4), st.sampled_from(sorted(FILES)), SPLITS)


@settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.generate])  # an example is a build
@given(st.lists(COPY, min_size=8, max_size=24))
def test_no_training_image_is_confirmed_against_an_evaluation_image(tmp_path_factory, drawn):
    pictures = {seed: picture(seed) for seed, _, _ in drawn}
    mix = mix_of(
        tmp_path_factory.mktemp("copies"), [(FILES[name](pictures[seed]), split) for seed, name, split in drawn]
    )
    trained, tested = (stored(mix, *splits) for splits in (("train", "validation"), ("test",)))
    assert trained or tested
    for one in trained:
        for other in tested:
            assert images.pixel_digest(one, BUDGET) != images.pixel_digest(other, BUDGET)
            ready = [confirm.prepare(images.decode_reduced(data, BUDGET)) for data in (one, other)]
            assert not confirm.compare(*ready).same
    if trained and tested:
        assert leak_report.report(mix, [mix], "test", workers=1)["hits"] == []
    assert check.check(mix) == []


def test_the_images_of_a_folder_are_compared_by_their_pixels(tmp_path, capsys):
    """Its sketches would show neither the letters of a chart nor a part."""
    folders = {name: tmp_path / name for name in ("train", "items")}
    for folder in folders.values():
        folder.mkdir()
    picture(1).save(folders["items"] / "scan.png")
    chart(20, 55, 90).save(folders["items"] / "chart.png")
    beside(picture(1), picture(9), gutter=6).save(folders["train"] / "figure.png")
    jpeg(chart(20, 55, 90), 80).save(folders["train"] / "same_chart.png")
    chart(20, 55, 91).save(folders["train"] / "other_chart.png")
    with pytest.raises(SystemExit, match="1"):
        main(["leaks", str(folders["train"]), "--against", str(folders["items"]), "--workers", "1"])
    assert [line.split(" (")[0] for line in capsys.readouterr().out.splitlines()[2:]] == [
        "figure.png: shares a panel with the image of items/scan.png",
        "same_chart.png: has an altered copy of the image of items/chart.png",
    ]


@pytest.mark.parametrize("broken", ["mine", "theirs"])
def test_folders_of_which_no_image_can_be_read_are_not_checked(tmp_path, broken, capsys):
    for name in ("mine", "theirs"):
        (tmp_path / name).mkdir()
        data = encoded(picture(1), "PNG")
        (tmp_path / name / "a.png").write_bytes(data[: len(data) // 2] if name == broken else data)
    with pytest.raises(SystemExit) as end:
        main(["leaks", str(tmp_path / "mine"), "--against", str(tmp_path / "theirs")])
    assert end.value.code == 1
    assert "NOT CHECKED against theirs: no image of" in capsys.readouterr().err
