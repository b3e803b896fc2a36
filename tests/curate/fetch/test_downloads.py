"""`medmix fetch` against a Hub on this machine: what arrives where, and what goes wrong."""

import fcntl
import hashlib
import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from medmix.cli import main
from medmix.curate import facts, sampledata
from medmix.curate.read import download_record, source_status

SLAKE = facts.load("slake").upstream["hub"]
FETCHED = [source for source in facts.source_ids() if facts.load(source).downloadable_layout()]


def upstream(source: str) -> dict[str, bytes]:
    """Give the sample files of the layout that is fetched, and a file that no reader wants."""
    files = dict(sampledata.TREES[source][facts.load(source).downloadable_layout()](0).files)
    if source == "pubmedqa":
        files["pqa_unlabeled/train-00000-of-00001.parquet"] = files["pqa_artificial/train-00000-of-00001.parquet"]
    return {**files, "README.md": b"a card"}


def serve(hub, source: str, files: dict[str, bytes] | None = None) -> str:
    entry = facts.load(source)
    place = entry.upstream[entry.downloadable_layout()]
    return hub.add(place.dataset, files or upstream(source), place.revision or "")


@pytest.fixture
def run(capsys):
    """Run the command in this process; gives exit code, stdout and stderr."""

    def run(*arguments) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run


def one_error(err: str) -> str:
    lines = err.splitlines()
    errors = [line for line in lines if line.startswith("medmix: error: ")]
    assert errors == lines[-1:]
    assert "Traceback" not in err
    return errors[0].removeprefix("medmix: error: ")


def downloaded(hub, data: bytes) -> int:
    """Count the bytes that went out of a file that lies in LFS."""
    return sum(request.sent for request in hub.answered(f"/lfs/{hashlib.sha256(data).hexdigest()}"))


@pytest.mark.parametrize("source", FETCHED)
def test_a_source_comes_whole_at_its_commit_and_only_once(hub, run, tmp_path, source):
    commit = serve(hub, source)
    assert run("fetch", source, "--root", tmp_path)[0] == 0
    found = source_status.check_source(source, tmp_path)
    assert (found.state, found.layout, found.revision) == ("present", facts.load(source).downloadable_layout(), commit)
    record = download_record.read_record(tmp_path / source)
    files = upstream(source)
    there = {name: hashlib.sha256(files[name]).hexdigest() for name in record.files}
    assert {name: file.sha256 for name, file in record.files.items()} == there
    on_disk = [path.relative_to(tmp_path / source).as_posix() for path in (tmp_path / source).rglob("*.*")]
    assert set(on_disk) >= {*record.files, ".fetched.json"}
    assert "README.md" not in on_disk
    assert ".fetching" not in on_disk
    asked = len(hub.log)
    status, out, _ = run("fetch", source, "--root", tmp_path)
    assert (status, len(hub.log)) == (0, asked)
    assert out.splitlines()[0].startswith(f"{source}: is already present: {tmp_path / source}, ")


@pytest.fixture
def unpinned(monkeypatch) -> None:
    """Take the pin from PMC-OA, as from a source whose facts name no commit."""
    load = facts.load

    def without_pin(source: str) -> facts.Facts:
        entry = load(source)
        if source != "pmc_oa":
            return entry
        return replace(entry, upstream={"original": replace(entry.upstream["original"], revision=None)})

    monkeypatch.setattr(facts, "load", without_pin)


def build_of(run, source: str, root: Path) -> dict:
    """Build a fetched source alone; gives its part of the manifest."""
    arguments = ("--mixture", "sample", "--only", source, "--root", root, "--out", root / "mix", "--workers", "1")
    status, out, _ = run("build", *arguments, "--json")
    assert status == 0
    return json.loads(out)["sources"][source]


def test_what_was_fetched_is_built(hub, run, tmp_path):
    serve(hub, "slake")
    assert run("fetch", "slake", "--root", tmp_path)[0] == 0
    entry = build_of(run, "slake", tmp_path)
    assert entry["kept"] > 0
    assert (entry["dataset"], entry["revision"]) == ("BoKelvin/SLAKE", SLAKE.revision)


def test_without_a_pin_the_commit_that_was_fetched_stands_in_the_manifest(hub, run, tmp_path, unpinned):
    commit = serve(hub, "pmc_oa")
    assert run("fetch", "pmc_oa", "--root", tmp_path)[0] == 0
    assert build_of(run, "pmc_oa", tmp_path)["revision"] == commit


def test_a_connection_that_breaks_off_is_taken_up_where_it_broke(hub, run, tmp_path):
    images = upstream("slake")["imgs.zip"]
    serve(hub, "slake")
    hub.fail("/lfs/", "cut", times=2)
    assert run("fetch", "slake", "--root", tmp_path)[0] == 0
    assert downloaded(hub, images) == len(images)
    ranges = [request.range for request in hub.answered(f"/lfs/{hashlib.sha256(images).hexdigest()}")]
    half = len(images) // 2
    assert ranges == ["", f"bytes={half}-", f"bytes={half + (len(images) - half) // 2}-"]
    assert (tmp_path / "slake" / "imgs.zip").read_bytes() == images


def test_a_body_that_ends_early_is_gone_on_with(hub, run, tmp_path):
    serve(hub, "slake")
    hub.fail("/lfs/", "short")
    assert run("fetch", "slake", "--root", tmp_path)[0] == 0
    assert (tmp_path / "slake" / "imgs.zip").read_bytes() == upstream("slake")["imgs.zip"]


def test_the_client_waits_as_long_as_the_hub_asks(hub, run, tmp_path):
    serve(hub, "slake")
    hub.fail("/tree/", 429, Retry_After="3")
    hub.fail("/lfs/", 503)
    assert run("fetch", "slake", "--root", tmp_path)[0] == 0
    assert hub.waits == [4.0, 1]


def test_a_stopped_download_goes_on_and_finished_files_stay(hub, run, tmp_path):
    files = upstream("slake")
    commit = serve(hub, "slake")
    hub.fail(f"/lfs/{hashlib.sha256(files['train.json']).hexdigest()}", "drop", times=100)
    status, _, err = run("fetch", "slake", "--root", tmp_path)
    assert status == 1
    assert one_error(err).startswith(f"no way to {hub.url} (")
    assert one_error(err).endswith("check the network and run the same command again: finished files are kept")

    assert source_status.check_source("slake", tmp_path).state == "incomplete"
    build = ("build", "--mixture", "sample", "--only", "slake", "--root", tmp_path, "--out", tmp_path / "mix")
    status, _, err = run(*build)
    assert status == 2
    go_on = f"its download was stopped; resume it with: medmix fetch slake --root {tmp_path}"
    assert one_error(err) == f"{tmp_path / 'slake'}: {go_on}"

    hub.faults.clear()
    assert run("fetch", "slake", "--root", tmp_path)[0] == 0
    assert downloaded(hub, files["imgs.zip"]) == len(files["imgs.zip"])
    assert source_status.check_source("slake", tmp_path) == source_status.SourceStatus(
        "slake", "present", "hub", commit
    )


def test_ctrl_c_is_130_and_a_re_run_goes_on_within_the_file(hub, run, tmp_path, monkeypatch):
    images = upstream("slake")["imgs.zip"]
    serve(hub, "slake")
    hub.fail("/lfs/", "cut")

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(time, "sleep", interrupted)
        status, _, err = run("fetch", "slake", "--root", tmp_path)
    assert (status, one_error(err)) == (130, "interrupted; run the same command again to go on")
    assert not (tmp_path / "slake" / "imgs.zip").exists()
    assert run("fetch", "slake", "--root", tmp_path)[0] == 0
    assert downloaded(hub, images) == len(images)
    assert (tmp_path / "slake" / "imgs.zip").read_bytes() == images


def test_flipped_bytes_are_noticed_and_not_kept(hub, run, tmp_path):
    serve(hub, "slake")
    hub.fail("/lfs/", "flip")
    status, _, err = run("fetch", "slake", "--root", tmp_path)
    assert status == 1
    assert one_error(err) == (
        "slake: imgs.zip did not arrive as BoKelvin/SLAKE has it (another digest); "
        "run the same command again: finished files are kept"
    )
    assert not (tmp_path / "slake" / "imgs.zip").exists()
    assert run("fetch", "slake", "--root", tmp_path)[0] == 0


def test_small_files_that_are_not_in_lfs_are_held_against_their_git_id(hub, run, tmp_path):
    files = upstream("slake") | {"test.json": b"[]"}
    serve(hub, "slake", files)
    hub.fail("resolve/.*/test.json", "flip")
    assert run("fetch", "slake", "--root", tmp_path)[0] == 1
    assert run("fetch", "slake", "--root", tmp_path)[0] == 0
    assert (tmp_path / "slake" / "test.json").read_bytes() == b"[]"


PAGE = "{url}/datasets/BoKelvin/SLAKE"
LOG_IN = "log in (hf auth login, or a token in HF_TOKEN)"


@pytest.mark.parametrize(
    ("kind", "headers", "line"),
    [
        (403, {"X_Error_Code": "GatedRepo"}, f"asks each user to accept its terms: do so on {PAGE}, then {LOG_IN}"),
        (401, {}, f"is refused to you (status 401): {LOG_IN} as a user who may read it"),
        (403, {}, f"is refused to you (status 403): {LOG_IN} as a user who may read it"),
        (404, {"X_Error_Code": "RepoNotFound"}, f"does not exist or is not open to you: see {PAGE}, and {LOG_IN}"),
        (
            404,
            {"X_Error_Code": "RevisionNotFound"},
            f"has no revision {SLAKE.revision} any more; see {PAGE}/commits/main",
        ),
    ],
)
def test_what_the_hub_refuses_is_one_line_and_1(hub, run, tmp_path, kind, headers, line):
    serve(hub, "slake")
    hub.fail("/tree/", kind, times=100, **headers)
    status, out, err = run("fetch", "slake", "--root", tmp_path)
    assert (status, out) == (1, "")
    assert one_error(err) == f"slake: BoKelvin/SLAKE {line.format(url=hub.url)}"
    assert not (tmp_path / "slake").exists()


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (429, "the Hub asks to slow down (status 429); wait some minutes, then "),
        (500, "the Hub answers with status 500; wait a while, then "),
        ("drop", "no way to {url} ("),
    ],
)
@pytest.mark.parametrize("route", ["/tree/", "/lfs/"])
def test_a_hub_that_is_down_is_one_line_and_1(hub, run, tmp_path, kind, line, route):
    serve(hub, "slake")
    hub.fail(route, kind, times=100)
    status, _, err = run("fetch", "slake", "medqa", "--root", tmp_path)
    assert status == 1
    assert one_error(err).startswith(line.format(url=hub.url))
    assert one_error(err).endswith("run the same command again: finished files are kept")
    assert not hub.answered("MedQA")


def test_no_route_at_all(hub, run, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    status, _, err = run("fetch", "slake", "--root", tmp_path)
    assert status == 1
    assert one_error(err) == (
        "no way to http://127.0.0.1:9 ([Errno 111] Connection refused); "
        "check the network and run the same command again: finished files are kept"
    )


def test_offline_by_the_environment(hub, run, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    status, _, err = run("fetch", "slake", "--root", tmp_path)
    assert (status, one_error(err)) == (1, "HF_HUB_OFFLINE is set; unset it to fetch")


def test_an_answer_that_is_none_of_the_hubs(hub, run, tmp_path, unpinned):
    serve(hub, "pmc_oa")
    hub.fail("/revision/main", 200)
    status, _, err = run("fetch", "pmc_oa", "--root", tmp_path)
    assert (status, one_error(err)) == (1, f"{hub.url} does not answer as the Hub does; is a proxy between?")


def test_a_renamed_file_is_named(hub, run, tmp_path):
    files = upstream("slake")
    serve(hub, "slake", {"images.zip": files.pop("imgs.zip"), **files})
    status, _, err = run("fetch", "slake", "--root", tmp_path)
    assert status == 1
    assert one_error(err) == (
        f"slake: BoKelvin/SLAKE has no file imgs.zip at {SLAKE.revision}; check on the Hub whether it was renamed"
    )


def test_a_name_that_leads_out_of_the_folder_is_not_followed(hub, run, tmp_path):
    serve(hub, "vqa_rad", upstream("vqa_rad") | {"data/../../escaped.parquet": b"no"})
    status, _, err = run("fetch", "vqa_rad", "--root", tmp_path / "root")
    assert status == 1
    assert "names a file that leads out of its folder: data/../../escaped.parquet" in one_error(err)
    assert list(tmp_path.rglob("*.parquet")) == []


def test_one_that_fails_does_not_keep_the_others(hub, run, tmp_path):
    serve(hub, "slake")
    status, out, err = run("fetch", "medqa", "slake", "--root", tmp_path)
    assert status == 1
    assert out == f"slake: fetched: {tmp_path / 'slake'}, BoKelvin/SLAKE at {SLAKE.revision}\n"
    assert one_error(err).startswith("medqa: GBaker/MedQA-USMLE-4-options does not exist or is not open to you")
    assert "incomplete: medqa" in err


def test_without_a_pin_the_commit_is_said_recorded_and_kept_to(hub, run, tmp_path, unpinned):
    files = upstream("pmc_oa")
    first = serve(hub, "pmc_oa")
    hub.fail(f"/lfs/{hashlib.sha256(files['pmc_oa.jsonl']).hexdigest()}", "drop", times=100)
    status, _, err = run("fetch", "pmc_oa", "--root", tmp_path)
    assert status == 1
    assert f"pmc_oa: axiong/pmc_oa is not pinned; using and recording its commit {first}" in err
    hub.faults.clear()
    serve(hub, "pmc_oa", files | {"pmc_oa.jsonl": b"{}\n"})
    assert run("fetch", "pmc_oa", "--root", tmp_path)[0] == 0
    assert download_record.read_record(tmp_path / "pmc_oa").commit == first
    assert (tmp_path / "pmc_oa" / "pmc_oa.jsonl").read_bytes() == files["pmc_oa.jsonl"]


def test_another_version_is_brought_to_the_pin_by_its_changed_files_alone(hub, run, tmp_path):
    files = upstream("slake")
    serve(hub, "slake")
    folder = tmp_path / "slake"
    for name in ("train.json", "validation.json", "test.json", "imgs.zip"):
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(files[name] if name != "test.json" else b"[]")
    sizes = {
        path.name: download_record.DownloadedFile(path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.iterdir()
    }
    download_record.write_record(folder, download_record.Download("BoKelvin/SLAKE", "0" * 40, sizes))
    assert source_status.check_source("slake", tmp_path).state in ("wrong version", "incomplete")
    status, out, _ = run("fetch", "slake", "--root", tmp_path, "--json")
    assert status == 0
    assert json.loads(out)[0]["bytes"] == len(files["test.json"])
    assert (folder / "test.json").read_bytes() == files["test.json"]
    assert source_status.check_source("slake", tmp_path).state == "present"


def test_files_laid_there_by_hand_are_taken_when_they_are_the_hubs(hub, run, tmp_path):
    files = upstream("slake")
    serve(hub, "slake")
    (tmp_path / "slake").mkdir()
    (tmp_path / "slake" / "imgs.zip").write_bytes(files["imgs.zip"])
    assert run("fetch", "slake", "--root", tmp_path)[0] == 0
    assert downloaded(hub, files["imgs.zip"]) == 0
    assert source_status.check_source("slake", tmp_path).state == "present"


def test_files_of_somebody_else_are_not_overwritten(hub, run, tmp_path):
    serve(hub, "slake")
    mine = tmp_path / "slake" / "imgs.zip"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    status, _, err = run("fetch", "slake", "--root", tmp_path)
    assert status == 2
    assert one_error(err) == (
        f"{mine}: differs from the Hub's file, and medmix fetch did not download it; "
        "move it away or give another --root"
    )
    assert [path.name for path in mine.parent.iterdir()] == ["imgs.zip"]
    assert mine.read_bytes() == b"mine"


def test_another_layout_laid_there_by_hand_is_left_alone(hub, run, tmp_path, root):
    serve(hub, "slake")
    shutil.copytree(root / "slake", tmp_path / "slake")
    status, _, err = run("fetch", "slake", "--root", tmp_path)
    assert status == 2
    assert one_error(err).startswith(
        f"{tmp_path / 'slake'}: holds layout original of slake, which medmix fetch did not download"
    )
    assert not hub.log


def test_a_second_fetch_into_the_same_folder_waits_outside(hub, run, tmp_path):
    serve(hub, "slake")
    work = tmp_path / "slake" / ".fetching"
    work.mkdir(parents=True)
    with (work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, _, err = run("fetch", "slake", "--root", tmp_path)
    assert status == 2
    assert one_error(err) == f"{tmp_path / 'slake'}: another medmix fetch is writing to this folder; wait until it ends"


def test_too_little_room_is_said_before_anything_comes(hub, run, tmp_path, monkeypatch):
    serve(hub, "slake")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10_000, 9_000, 1_000))
    status, _, err = run("fetch", "slake", "--root", tmp_path)
    assert status == 1
    assert " bytes and 1,000 are free; make room and run the same command again" in one_error(err)
    assert not hub.answered("resolve")


def test_a_disk_that_fills_up_is_one_line_and_1(hub, run, tmp_path, monkeypatch):
    serve(hub, "slake")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "imgs.zip")

    with monkeypatch.context() as context:
        context.setattr("medmix.curate.fetch.hub.ContentCheck.update", full)
        status, _, err = run("fetch", "slake", "--root", tmp_path)
    assert (status, one_error(err).split(";")[0]) == (1, "imgs.zip: the disk is full")
    assert run("fetch", "slake", "--root", tmp_path)[0] == 0
    assert source_status.check_source("slake", tmp_path).state == "present"


MANUAL = [source for source in facts.source_ids() if source not in FETCHED]


@pytest.mark.parametrize("source", MANUAL)
def test_what_is_not_on_the_hub_comes_with_steps(hub, run, tmp_path, source):
    status, out, err = run("fetch", source, "--root", tmp_path)
    assert status == 0
    first, *steps = out.splitlines()
    assert first == f"{source}: manual steps to get it:"
    assert len(steps) == len(facts.load(source).steps) > 1
    assert str(tmp_path / source) in out
    assert "{folder}" not in out
    assert err == f"incomplete: {source}\n"
    assert not hub.log


def test_what_was_got_by_hand_is_seen(hub, run, root):
    assert run("fetch", "vqa_med_2019", "--root", root) == (
        0,
        f"vqa_med_2019: is already present: {root / 'vqa_med_2019'}\n",
        "",
    )


def test_json_is_one_document(hub, run, tmp_path):
    serve(hub, "slake")
    status, out, _ = run("fetch", "slake", "iu_xray", "--root", tmp_path, "--json")
    assert status == 0
    slake, iu_xray = json.loads(out)
    assert (slake["state"], slake["revision"], slake["steps"]) == ("fetched", SLAKE.revision, [])
    assert (iu_xray["state"], iu_xray["folder"]) == ("manual", str(tmp_path / "iu_xray"))
    assert iu_xray["steps"][0].startswith("get NLMCXR_reports.tgz")


def test_an_unknown_source_is_met_with_the_nearest(hub, run, tmp_path):
    status, out, err = run("fetch", "slake", "vqarad", "--root", tmp_path)
    assert (status, out) == (2, "")
    assert one_error(err).startswith("source 'vqarad' is unknown (did you mean 'vqa_rad'?); there are iu_xray, ")
    assert not hub.log
