"""`medmix fetch --check` compares digests; what is damaged is named, and fetched again by the next fetch."""

import json
from types import SimpleNamespace

import pytest

from medmix.curate.fetch import hub as fetch_hub
from medmix.curate.read import download_record

from .test_downloads import run as run_command
from .test_downloads import serve

SOURCE = "slake"

_ = run_command


@pytest.fixture
def fetch(run_command):
    """Run `medmix fetch` in this process."""
    return lambda *arguments: run_command("fetch", *arguments)


@pytest.fixture
def fetched(hub, fetch, tmp_path):
    """The folder of a source after a download of it."""
    serve(hub, SOURCE)
    assert fetch(SOURCE, "--root", tmp_path)[0] == 0
    return tmp_path / SOURCE


def first_name(folder) -> str:
    return sorted(download_record.read_record(folder).files)[0]


def flip(path) -> bytes:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    return data


def test_a_flipped_byte_is_named_and_fetched_again(hub, fetch, fetched, tmp_path):
    name = first_name(fetched)
    data = flip(fetched / name)
    assert fetch("--check", "--quick", SOURCE, "--root", tmp_path)[0] == 0
    status, out, _ = fetch("--check", SOURCE, "--root", tmp_path)
    assert status == 1
    assert f"{SOURCE}: {name} has another SHA-256 than when it was downloaded" in out.splitlines()
    before = len(hub.log)
    status, out, _ = fetch(SOURCE, "--root", tmp_path)
    assert status == 0
    assert (fetched / name).read_bytes() == data
    asked = [request.line for request in hub.log[before:] if "/resolve/" in request.line]
    assert len(asked) == 1
    status, out, _ = fetch("--check", SOURCE, "--root", tmp_path)
    assert status == 0
    assert "NOT CHECKED" not in out


def test_a_file_mended_by_hand_is_no_longer_marked(fetch, fetched, tmp_path):
    name = first_name(fetched)
    record = (fetched / ".fetched.json").read_bytes()
    data = flip(fetched / name)
    assert fetch("--check", SOURCE, "--root", tmp_path)[0] == 1
    assert json.loads((fetched / ".fetched.json").read_text())["damaged"] == [name]
    (fetched / name).write_bytes(data)
    assert fetch("--check", SOURCE, "--root", tmp_path)[0] == 0
    assert (fetched / ".fetched.json").read_bytes() == record


def test_what_has_no_known_digest_is_said(fetch, fetched, root, tmp_path):
    (fetched / "notes.txt").write_text("mine")
    status, out, _ = fetch("--check", SOURCE, "--root", tmp_path)
    assert status == 0
    line = f"{SOURCE}: NOT CHECKED: notes.txt did not come with the download, so no digest is known"
    assert line in out.splitlines()
    status, out, _ = fetch("--check", "iu_xray", "--root", root)
    assert status == 0
    assert "iu_xray: NOT CHECKED: no digest of its files is known" in out
    status, out, _ = fetch("--check", "iu_xray", "--root", root, "--quick")
    assert "NOT CHECKED" not in out


def test_quick_belongs_to_check(fetch, tmp_path):
    status, _, err = fetch("--quick", SOURCE, "--root", tmp_path)
    assert status == 2
    assert "--quick needs --check" in err


@pytest.mark.parametrize("link", ["http://elsewhere.example/api?cursor=2", "//elsewhere.example/x", "ftp:/x"])
def test_a_listing_that_leads_to_another_host_gets_no_token(hub, monkeypatch, link):
    asked = []

    def get(url, headers=None):
        asked.append(url)
        return SimpleNamespace(json=list, links={"next": {"url": link}})

    monkeypatch.setattr(fetch_hub, "_get", get)
    with pytest.raises(fetch_hub.Unreachable, match="which is not the Hub"):
        fetch_hub.list_files("a/b", "0" * 40)
    assert len(asked) == 1


def test_a_listing_goes_on_at_the_hub(hub, monkeypatch):
    asked = []

    def get(url, headers=None):
        asked.append(url)
        return SimpleNamespace(json=list, links={"next": {"url": "/api/x?cursor=2"}} if len(asked) == 1 else {})

    monkeypatch.setattr(fetch_hub, "_get", get)
    assert fetch_hub.list_files("a/b", "0" * 40) == []
    assert asked[1] == f"{hub.url}/api/x?cursor=2"
