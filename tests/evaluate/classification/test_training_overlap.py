"""A checkpoint whose mix holds images of a test: said with the score, by the bytes."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from medmix.evaluate.classification import prepare
from medmix.evaluate.classification.suite import evaluate
from medmix.train.recipe import Recipe
from medmix.train.run import loop

from ...train.conftest import records, write_mix
from . import upstream
from .conftest import TINY


def test_test_images_that_were_trained_on_are_counted(tiny: Recipe, tmp_path: Path) -> None:
    upstream.class_folders(tmp_path / "sets" / "mine", ("cat", "dog"), 10)
    (tmp_path / "mine.yaml").write_text(
        "id: mine\ntitle: Mine\nlabels: single\nclasses: [cat, dog]\nreader:\n  folders: {path: '{class}'}\n"
        "splits: {group_by: copies, copies: exact, test_fraction: 0.4, validation_fraction: 0.2}\n"
    )
    shown = sorted((tmp_path / "sets" / "mine").rglob("*.png"))[:5]
    mix = write_mix(tmp_path / "mix", {"train": records(4, "train")})
    for number, file in enumerate(sorted(mix.rglob("*.parquet"))):
        table = pq.read_table(file)
        column = [[hashlib.sha256(shown[number % 5].read_bytes()).hexdigest()]] * len(table)
        pq.write_table(table.append_column("image_sha256", pa.array(column, pa.list_(pa.string()))), file)
    loop.train(mix, tiny, tmp_path / "run", progress_bar=False)
    found = evaluate(
        [str(tmp_path / "run")],
        tmp_path / "out",
        root=tmp_path / "sets",
        datasets=[str(tmp_path / "mine.yaml")],
        recipe="smoke",
        overrides=(*TINY, "epochs=2", "seeds=[0]"),
    )[str(tmp_path / "run")]
    assert found["model"]["kind"] == "checkpoint"
    assert found["mix"]["path"] == str(mix)
    count = found["protocol"]["datasets"]["mine"]["test_images_in_training"]
    lines = (tmp_path / "out" / "predictions.jsonl").read_text()
    names = [path.relative_to(tmp_path / "sets").as_posix() for path in shown]
    assert count == sum(f'"{name}"' in lines for name in names)
    assert count > 0
    assert found["notes"][0].endswith("that half of each feature vector was trained only through the patches")
    assert found["notes"][-1].startswith(f"mine: the encoder was trained on {count} of 8 test images (equal bytes): ")


def test_a_mix_that_is_not_here_any_more_tells_nothing(tmp_path: Path) -> None:
    assert prepare.training_image_digests(tmp_path / "gone") is None
