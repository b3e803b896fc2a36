"""The whole mix comes back from what was published and the user's own copies, or what differs is named."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from medmix.curate.check import check
from medmix.curate.publish import planner
from medmix.curate.write import manifest

from .conftest import REPO, SOURCES, one_error


@pytest.fixture(scope="module")
def published(prepared: Path) -> Path:
    """The folder of a published copy; do not write there."""
    (folder,) = (prepared / planner.WORK).glob("release-*")
    return folder


@pytest.fixture
def copies(root: Path, tmp_path: Path) -> Path:
    """Local copies of the sources that were withheld."""
    for source in SOURCES:
        if source != "pubmedqa":
            shutil.copytree(root / source, tmp_path / "sources" / source)
    return tmp_path / "sources"


def test_the_whole_mix_comes_back_to_the_byte(hub, run, writer, mine, copies, tmp_path):
    assert run("push", mine, "--repo", REPO, "--yes")[0] == 0
    out = tmp_path / "whole"
    status, _, err = run("rehydrate", f"{REPO}@v1.0.0", "--root", copies, "--out", out, "--workers", "1")
    assert status == 0, err
    assert err.splitlines()[-1] == f"548 records, all verified, are in {out}; next: medmix check {out}"
    assert check(out) == []
    before, after = manifest.read(mine), manifest.read(out)
    differing = {name for name in before["files"] if before["files"][name] != after["files"].get(name)}
    assert {"ledger.parquet"} <= differing <= {"ledger.parquet", "report/index.html"}
    assert after["files"].keys() == before["files"].keys()
    for name in before["files"].keys() - differing:
        assert (out / name).read_bytes() == (mine / name).read_bytes()
    assert after["ledger_without_drops"] == ["mimic_cxr"]
    assert [path.name for path in (out / ".work").iterdir()] == ["lock"]


def test_without_credentialed_sources_the_ledger_comes_back_too(root, run, copies, tmp_path):
    from medmix.curate import mixtures
    from medmix.curate.build import BuildOptions, build
    from medmix.curate.publish import release

    mix = tmp_path / "mix"
    whole = build(mixtures.load("sample"), root, mix, BuildOptions(only=("slake", "pubmedqa")))
    copy = release.prepare_release(mix, whole, REPO, [], tmp_path / "work").folder
    assert run("rehydrate", copy, "--root", copies, "--out", tmp_path / "whole", "--workers", "1")[0] == 0
    assert (tmp_path / "whole" / manifest.NAME).read_bytes() == (mix / manifest.NAME).read_bytes()
    for name in whole["files"]:
        assert (tmp_path / "whole" / name).read_bytes() == (mix / name).read_bytes()


def replace_image(path: Path) -> None:
    Image.new("L", (128, 120), 77).save(path)


def test_each_record_that_differs_is_named_and_no_mix_is_written(run, published, copies, tmp_path):
    reports = copies / "iu_xray" / "indiana_reports.csv"
    text = reports.read_text()
    reports.write_text(text.replace("heart", "hart", 1))
    images = sorted((copies / "mimic_cxr").rglob("*.jpg"))
    replace_image(images[0])
    shard = next((copies / "medqa").rglob("*test.jsonl"))
    rows = shard.read_text().splitlines()
    shard.write_text("\n".join(rows[:-1]) + "\n")
    out = tmp_path / "whole"
    status, _, err = run("rehydrate", published, "--root", copies, "--out", out, "--workers", "1")
    assert status == 1
    lines = err.splitlines()
    assert one_error(err).endswith(" records differ from those of the mix; no mix was written")
    named = [line for line in lines if line.startswith(("iu_xray/", "mimic_cxr/", "medqa/"))]
    assert any(line.startswith("iu_xray/") and line.endswith(": differs in its text") for line in named)
    (hidden,) = (line for line in named if line.startswith("mimic_cxr/#"))
    assert ": is missing from the local copy, or has other images there (pointer for restricted/mimic_cxr/" in hidden
    assert any(line.startswith("medqa/test/") and line.endswith(": is missing from the local copy") for line in named)
    assert len(named) == int(one_error(err).split()[0])
    assert not (out / manifest.NAME).exists()
    assert not list(out.glob("data"))
    reports.write_text(text)
    status, _, err = run("rehydrate", published, "--root", copies, "--out", out, "--workers", "1")
    assert status == 1
    assert "iu_xray" not in err


def test_a_changed_report_of_a_credentialed_source_is_told_without_its_id(run, published, copies, tmp_path):
    import zipfile

    archive = copies / "mimic_cxr" / "mimic-cxr-reports.zip"
    with zipfile.ZipFile(archive) as old:
        members = {info: old.read(info) for info in old.infolist()}
    with zipfile.ZipFile(archive, "w") as new:
        for info, data in members.items():
            new.writestr(info, data.replace(b"heart", b"hart"))
    status, _, err = run("rehydrate", published, "--root", copies, "--out", tmp_path / "whole", "--workers", "1")
    assert status == 1
    named = [line for line in err.splitlines() if "differs in its text" in line]
    assert named
    assert all(line.startswith("mimic_cxr/#") for line in named)


def test_an_image_that_is_gone_is_named(run, published, copies, tmp_path):
    for image in sorted((copies / "pathvqa").rglob("*.jpg"))[:1]:
        image.unlink()
    status, _, err = run("rehydrate", published, "--root", copies, "--out", tmp_path / "whole", "--workers", "1")
    assert status == 1
    assert "pathvqa/" in err
    assert "is unusable here: missing-image" in err


@pytest.mark.parametrize(
    ("break_it", "status", "line"),
    [
        (lambda root: shutil.rmtree(root / "iu_xray"), 2, "no folder under {root} for iu_xray"),
        (lambda root: shutil.rmtree(root), 2, "{root} is not a folder; give the folder that holds one folder per"),
    ],
)
def test_a_copy_that_is_missing_is_said(run, published, copies, tmp_path, break_it, status, line):
    break_it(copies)
    found = run("rehydrate", published, "--root", copies, "--out", tmp_path / "whole")
    assert found[0] == status
    assert one_error(found[2]).startswith(line.format(root=copies))


def test_what_is_no_published_copy_is_said(run, prepared, published, copies, tmp_path):
    status, _, err = run("rehydrate", prepared, "--root", copies, "--out", tmp_path / "whole")
    assert status == 2
    assert one_error(err).endswith("is a full mix already; give a mix that medmix push published")
    broken = Path(shutil.copytree(published, tmp_path / "broken"))
    text = (broken / manifest.NAME).read_text()
    (broken / manifest.NAME).write_text(text.replace('"gated": true', '"gated": false'))
    status, _, err = run("rehydrate", broken, "--root", copies, "--out", tmp_path / "whole")
    assert status == 1
    assert "changed since the build wrote it" in one_error(err)


def test_a_download_that_arrives_damaged_is_found_by_the_manifest(hub, run, writer, mine, copies, tmp_path):
    assert run("push", mine, "--repo", REPO, "--yes")[0] == 0
    repository = hub.repositories[REPO]
    name = "data/slake/train-00000-of-00001.parquet"
    files = dict(repository.commits[repository.main])
    other = (mine / name).read_bytes()[:-1] + b"x"
    files[name] = hub.store.file(other, True)
    repository.tags["v1.0.0"] = repository.commit(files, "tampered")
    status, _, err = run("rehydrate", f"{REPO}@v1.0.0", "--root", copies, "--out", tmp_path / "whole")
    assert status == 1
    assert f"{name}: the SHA-256 differs from the one in the manifest" in one_error(err)


def test_it_survives_faults_and_goes_on_where_it_stopped(hub, run, writer, mine, copies, tmp_path):
    assert run("push", mine, "--repo", REPO, "--yes")[0] == 0
    hub.fail("GET .*/resolve/.*slake/train", 403)
    arguments = (
        "rehydrate",
        f"{REPO}@v1.0.0",
        "--root",
        copies,
        "--out",
        tmp_path / "whole",
        "--workers",
        "1",
        "--json",
    )
    assert run(*arguments)[0] == 1
    asked = len(hub.log)
    hub.fail("GET /lfs/", "cut", times=2)
    hub.fail("GET .*/tree/", 502)
    status, out, _ = run(*arguments)
    assert status == 0
    assert json.loads(out)["totals"]["kept"] == 548
    again = [request.line for request in hub.log[asked:] if "/resolve/" in request.line]
    assert not [line for line in again if "data/pubmedqa" in line]


@pytest.mark.parametrize("name", ["data/../../../outside.parquet", "/outside", "data/slake/../x.parquet"])
def test_a_copy_that_names_files_elsewhere_is_refused(run, published, copies, tmp_path, name):
    copy = Path(shutil.copytree(published, tmp_path / "copy"))
    whole = json.loads((copy / "full_manifest.json").read_text())
    whole["files"][name] = {"sha256": "0" * 64, "bytes": 1}
    (copy / "full_manifest.json").unlink()
    (copy / "full_manifest.json").write_text(json.dumps(whole))
    document = manifest.read(copy)
    document["files"] |= manifest.file_facts(copy, ["full_manifest.json"])
    manifest.write(copy, document)
    status, _, err = run("rehydrate", copy, "--root", copies, "--out", tmp_path / "whole")
    assert status == 2
    assert f"full_manifest.json: files has the name {name!r}, which no mix has" in one_error(err)


@pytest.mark.parametrize("name", ["ledger.parquet", "evaluation.parquet", "full_manifest.json", "README.md"])
def test_a_changed_file_of_the_copy_is_named(run, published, copies, tmp_path, name):
    copy = Path(shutil.copytree(published, tmp_path / "copy"))
    data = (copy / name).read_bytes()
    (copy / name).unlink()
    (copy / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    status, _, err = run("rehydrate", copy, "--root", copies, "--out", tmp_path / "whole")
    assert status == 1
    assert f"{copy / name}: the SHA-256 differs from the one in the manifest" in one_error(err)


def test_no_message_names_an_option_of_another_command(run, published, copies, tmp_path):
    shutil.rmtree(copies / "iu_xray")
    status, _, err = run("rehydrate", published, "--root", copies, "--out", tmp_path / "whole")
    assert status == 2
    assert "--allow" not in one_error(err)
