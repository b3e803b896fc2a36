"""The wheel and the editable install hold all that a user needs, from any folder."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

SPAWN = """
import multiprocessing
from medmix.curate.measure.text import clean

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(clean, [" a\\tb "]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel built from a clean copy of the tracked files, so that no stale build folder gets in."""
    source = tmp_path_factory.mktemp("source")
    tracked = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\n")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", out, source)
    (path,) = out.glob("medmix-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder with the wheel's content as pip lays it out."""
    target = tmp_path_factory.mktemp("site")
    pip("install", "--no-deps", "--target", target, wheel)
    return target


def pip(*arguments):
    run(sys.executable, "-m", "pip", "--quiet", *arguments, cwd=ROOT.parent)


def run(*command, cwd, **environment) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_every_module_and_data_file(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        f"{'' if folder == 'medmix' else 'medmix/'}{file.relative_to(ROOT).as_posix()}"
        for folder in ("medmix", "curate", "train", "evaluate", "recipes", "mixtures", "cards")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".yaml", ".jinja", ".typed")
    }
    assert len(expected) > 50
    assert expected <= names


def test_the_wheel_leaves_only_medmix_behind(installed):
    left = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert left == {"medmix", "bin"}


def test_the_installed_command_runs_from_any_folder(installed, tmp_path):
    version = run(installed / "bin" / "medmix", "--version", cwd=tmp_path, PYTHONPATH=str(installed))
    module = run(sys.executable, "-m", "medmix", "--version", cwd=tmp_path, PYTHONPATH=str(installed))
    assert version == module == "0.1.0\n"


def test_the_installed_package_finds_its_data(installed, tmp_path):
    sources = run(sys.executable, "-m", "medmix", "sources", cwd=tmp_path, PYTHONPATH=str(installed))
    assert len(sources.splitlines()) == 1 + 14


@pytest.mark.parametrize("install", ["wheel", "editable"])
def test_spawned_workers_import_the_package(install, installed, tmp_path):
    if install == "editable":
        needs_editable_install()
    script = tmp_path / "script.py"
    script.write_text(SPAWN)
    path = {"PYTHONPATH": str(installed)} if install == "wheel" else {}
    assert run(sys.executable, script, cwd=tmp_path, **path) == "['a b']\n"


def needs_editable_install() -> None:
    if not Path(sys.executable).with_name("medmix").exists():
        pytest.skip("medmix is not installed in this environment: make install")


def test_the_editable_command_runs_from_any_folder(tmp_path):
    needs_editable_install()
    assert run(Path(sys.executable).with_name("medmix"), "--version", cwd=tmp_path) == "0.1.0\n"
    assert run(sys.executable, "-m", "medmix", "--version", cwd=tmp_path) == "0.1.0\n"


def test_curation_imports_without_torch(tmp_path):
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'torchvision', 'transformers', 'peft', 'timm')));"
        "import medmix.cli, medmix.curate.build, medmix.curate.check; print('ok')"
    )
    assert run(sys.executable, "-c", code, cwd=ROOT) == "ok\n"


def test_training_without_its_packages_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None;from medmix.cli import main; main(['train', '--mixture', sys.argv[1]])"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "medmix: error: training needs more packages; install them: pip install 'medmix[train]'\n"


@pytest.mark.parametrize("room", ["curate", "train"])
def test_a_second_copy_by_another_name_is_refused(room):
    done = subprocess.run(
        [sys.executable, "-c", f"import {room}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"import medmix.{room}, not {room}" in done.stderr
