"""What a mix was kept clean of is known by the content of the items: a set of the same name proves nothing."""

from pathlib import Path

import pytest

from medmix.curate.errors import UsageError
from medmix.curate.evaluationsets import item_keys
from medmix.curate.evaluationsets.item_keys import item_key
from medmix.curate.write import manifest
from medmix.evaluate import contamination
from medmix.train.data import stream

GENERATED = [item_key([f"{number:064}"], None) for number in range(30)]
REAL = [item_key([f"{number:064x}"], None) for number in range(1000, 1451)]


def mix(folder: Path, keys: dict[str, list[str]], leaks: str = "drop", matrix: tuple[dict, ...] = ()) -> Path:
    """A mix without shards that was kept clean of sets with these keys."""
    rows = [
        {
            "set": name,
            "leaks": leaks,
            "checked": bool(found),
            "items": len(found) + 2,
            "unreadable": 2,
            "items_sha256": item_keys.keys_digest(sorted(found)),
        }
        for name, found in keys.items()
    ]
    folder.mkdir(exist_ok=True)
    item_keys.write(folder / item_keys.NAME, keys)
    manifest.write(folder, {"format": manifest.FORMAT, "evaluation": rows, "leaks": list(matrix), "timings": {}})
    return folder


def load(folder: Path) -> contamination.TrainingMix:
    found = contamination.load(folder, stream.mix_digest(folder))
    assert found is not None
    return found


def statement(folder: Path, scored: list[str]) -> str:
    return contamination.describe(load(folder), "vqa_rad test", scored).text


def test_a_set_of_the_same_name_with_other_items_is_not_clean(tmp_path: Path) -> None:
    generated = mix(tmp_path, {"vqa_rad test": GENERATED})
    assert statement(generated, GENERATED) == "clean"
    assert statement(generated, REAL) == "kept clean of other items (30 of 451); of the scored ones: 0"
    scored = [*GENERATED[:20], *REAL[:431]]
    assert statement(generated, scored) == "kept clean of other items (30 of 451); of the scored ones: 20"


def test_the_items_of_a_set_of_another_name_count(tmp_path: Path) -> None:
    copied = mix(tmp_path, {"copy of vqa_rad": REAL})
    assert statement(copied, REAL) == "clean"
    some = [*REAL[:7], *GENERATED[:2]]
    assert statement(copied, some) == "kept clean of other items (7 of 9); of the scored ones: 7"


def test_a_set_that_was_not_read_is_not_checked(tmp_path: Path) -> None:
    assert statement(mix(tmp_path, {"vqa_rad test": []}), REAL) == "not checked"
    assert statement(mix(tmp_path, {"slake test": GENERATED}), REAL) == "not checked"
    assert contamination.describe(None, "vqa_rad test", REAL).text == "not checked: the training mix is unknown"


def test_without_the_keys_of_the_items_nothing_is_known(tmp_path: Path) -> None:
    folder = mix(tmp_path, {"vqa_rad test": REAL})
    item_keys.write(folder / item_keys.NAME, {"vqa_rad test": GENERATED})
    assert statement(folder, REAL) == "not checked"
    (folder / item_keys.NAME).unlink()
    assert statement(folder, REAL) == "not checked"


def test_a_set_whose_leaks_are_only_reported_is_clean_where_there_are_none(tmp_path: Path) -> None:
    row = {"set": "vqa_rad test", "image-overlap": 3, "leaks": {}}
    assert statement(mix(tmp_path, {"vqa_rad test": REAL}, "report", (row,)), REAL) == "clean"
    leaking = mix(tmp_path, {"vqa_rad test": REAL}, "report", (row | {"leaks": {"image-overlap": 1}},))
    assert statement(leaking, REAL) == "not clean: its leaks were reported and not dropped"


def test_leaks_that_are_known_are_said_whatever_was_compared(tmp_path: Path) -> None:
    found = contamination.describe(load(mix(tmp_path, {"vqa_rad test": REAL})), "vqa_rad test", REAL, ["3 images"])
    assert found == ("not clean: 3 images", 451, 451)


def test_another_mix_at_the_place_of_the_training_mix_is_refused(tmp_path: Path) -> None:
    digest = stream.mix_digest(mix(tmp_path, {"vqa_rad test": REAL}))
    mix(tmp_path, {"vqa_rad test": GENERATED}, "report")
    with pytest.raises(UsageError, match="is not the mix that the checkpoint was trained on"):
        contamination.load(tmp_path, digest)
    assert contamination.load(tmp_path / "gone", digest) is None


def test_an_item_is_its_images_whatever_their_order_and_its_question() -> None:
    assert item_key(["b", "a"], "question") == item_key(["a", "b", "a"], None) != item_key(["a"], None)
    assert item_key([], "question") != item_key([], "other")
