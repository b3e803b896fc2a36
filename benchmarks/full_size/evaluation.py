"""The evaluation sets of images, as folders with the lists that mixture v1 names."""

from collections.abc import Iterable
from multiprocessing.pool import Pool
from pathlib import Path

from .counts import Size
from .films import FIRST_CXR8
from .pictures import Picture, encode_all
from .questions import ham10000_pictures

_FIRST = 60_000_000

_FOLDERS = {
    "medfmc_chest": ("film", "images/{}.jpg", "test_WithLabel.txt"),
    "medfmc_colon": ("figure", "images/{}.jpg", "test_WithLabel.txt"),
    "medfmc_endo": ("figure", "images/{}.jpg", "test_WithLabel.txt"),
    "medfmc_neojaundice": ("figure", "images/{}.jpg", ""),
    "busi": ("figure", "Dataset_BUSI_with_GT/benign/benign ({}).png", ""),
    "kvasir": ("figure", "polyps/{}.jpg", ""),
    "bach": ("figure", "Photos/Benign/b{}.png", ""),
    "brain_tumor_mri": ("small", "Testing/glioma_tumor/image({}).jpg", ""),
}
"""Set -> the kind of its pictures, their paths, and the list that names them."""


def write_sets(root: Path, size: Size, pool: Pool) -> None:
    """Write all sets."""
    for place, (name, (kind, path, table)) in enumerate(_FOLDERS.items()):
        first, suffix = _FIRST + 1_000_000 * place, Path(path).suffix
        pictures = [Picture(kind, first + number, suffix=suffix) for number in range(size.items(name))]
        paths = [path.format(number) for number in range(len(pictures))]
        _write_images(root / name, paths, pictures, pool)
        if table:
            (root / name / table).write_text("".join(f"{Path(path).name} 0 1\n" for path in paths))
    films = [Picture("film", FIRST_CXR8 + number) for number in range(size.items("cxr8"))]
    names = [f"{number:08d}_000.jpg" for number in range(len(films))]
    _write_images(root / "cxr8", [f"images/{name}" for name in names], films, pool)
    (root / "cxr8" / "test_list.txt").write_text("".join(f"{name}\n" for name in names))
    skins = list(ham10000_pictures(size))
    ids = [f"ISIC_{number:07d}" for number in range(len(skins))]
    _write_images(root / "ham10000", [f"HAM10000_images_part_1/{key}.jpg" for key in ids], skins, pool)
    lines = "".join(f"HAM_{key},{key},nv\n" for key in ids)
    (root / "ham10000" / "HAM10000_metadata.csv").write_text(f"lesion_id,image_id,dx\n{lines}")


def _write_images(folder: Path, paths: Iterable[str], pictures: Iterable[Picture], pool: Pool) -> None:
    for path, content in zip(paths, encode_all(pool, pictures), strict=True):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
