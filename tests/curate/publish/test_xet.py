"""A push with the real hf_xet, through the Hub's token route and a storage here that puts the files together."""

import os
from collections import Counter

import pytest
from huggingface_hub import constants

from medmix.curate.publish import hub as client
from medmix.curate.publish import planner

from .conftest import REPO, one_error, release_files

STORING = "PUT /xet/store/|POST /xet/v1/xorbs/"
"""Requests with content: to the address of a grant, or without one."""


@pytest.fixture(autouse=True)
def xet(hub, writer, monkeypatch: pytest.MonkeyPatch):
    """Xet as it is on by default, in the Hub here and in the client."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    monkeypatch.setenv("HF_XET_XORB_COMPRESSION_POLICY", "none")
    return hub.xet


def pushed(run, mix, *options: object) -> tuple[int, str, str]:
    return run("push", mix, "--repo", REPO, "--yes", *options)


def published(hub) -> dict[str, bytes]:
    there = hub.content(REPO, "v1.0.0")
    there.pop(".gitattributes")
    return there


def xorbs_sent(hub) -> Counter[str]:
    """Count how often the content of each xorb was sent, by either way."""
    return Counter(request.line.split("/")[-1].split("?")[0] for request in hub.answered(STORING))


def test_all_files_arrive_and_no_content_is_sent_twice(hub, run, mine):
    status, _, err = pushed(run, mine)
    assert status == 0, err
    assert published(hub) == release_files(mine)
    tables = sum(name.endswith(".parquet") for name in release_files(mine))
    assert len(hub.xet.digests) == tables
    assert not hub.answered("objects/batch|PUT /lfs/")
    assert set(xorbs_sent(hub).values()) == {1}
    asked = len(hub.log)
    assert "nothing to do" in pushed(run, mine)[2]
    assert {request.line.split()[0] for request in hub.log[asked:]} == {"GET"}


PASSING = {
    "503 at the token": ("xet-write-token", 503, {}, "status 503 (Xet)"),
    "429 at the token": ("xet-write-token", 429, {}, "status 429 (Xet)"),
    "a dropped token": ("xet-write-token", "drop", {}, "no response (Network error: "),
    "500 at a grant": ("xorb-grants", 500, {}, "status 500 (Xet)"),
    "429 at a grant": ("xorb-grants", 429, {}, "status 429 (Xet)"),
    "a dropped grant": ("xorb-grants", "drop", {}, "no response (Network error: "),
    "a reset grant": ("xorb-grants", "reset", {}, "no response (Network error: "),
    "a permit that has expired": ("xorb-grants", 401, {}, "the upload address has expired (Xet)"),
    "a permit that was withdrawn": ("xorb-grants", 403, {}, "the upload address has expired (Xet)"),
    "a grant that cannot be read": ("xorb-grants", "short", {}, "no response (Network error: "),
    "a shard's answer that cannot be read": ("/shards", "short", {}, "Internal error: Invalid response: "),
    "504 at the end of an upload": ("xorb-commits", 504, {}, "status 504 (Xet)"),
    "503 at a shard": ("/shards", 503, {}, "status 503 (Xet)"),
    "a dropped shard": ("/shards", "drop", {}, "no response (Network error: "),
    "a shard whose answer is lost": ("/shards", "late", {}, "no response (Network error: "),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_survived_and_told_in_a_line(hub, run, mine, name):
    pattern, kind, headers, reason = PASSING[name]
    hub.fail(pattern, kind, **headers)
    status, _, err = pushed(run, mine)
    assert status == 0, err
    assert [fault.times for fault in hub.faults] == [0]
    (told,) = (line for line in err.splitlines() if "; retry in " in line)
    assert told.startswith(f"{REPO}: upload of attribution.parquet: {reason}")
    assert told.endswith("; retry in 1 s")
    assert published(hub) == release_files(mine)
    assert hub.repositories[REPO].messages == ["initial commit", "sample v1.0.0"]
    assert set(xorbs_sent(hub).values()) == {1}


@pytest.mark.parametrize("kind", [503, "half", "reset"])
def test_content_that_the_storage_does_not_take_goes_another_way(hub, run, mine, kind):
    hub.fail("PUT /xet/store/", kind)
    status, _, err = pushed(run, mine)
    assert status == 0, err
    assert published(hub) == release_files(mine)
    assert Counter(xorbs_sent(hub).values()) == {1: len(hub.xet.xorbs) - 1, 2: 1}


REFUSED = {
    "a rejected token": ("xet-write-token", 401, "the Hub rejects the token; log in"),
    "a forbidden upload": ("xet-write-token", 403, "permission denied; log in"),
    "a missing dataset": (
        "xet-write-token",
        404,
        "not found, not accessible, or the token has expired; check the name",
    ),
    "a full storage": ("xorb-grants", 507, "the Hub has no storage left for it; free some there"),
    "a refused request": ("/shards", 400, "status 400 (Xet)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_pass_is_said_at_once(hub, run, mine, name):
    pattern, kind, line = REFUSED[name]
    hub.fail(pattern, kind, times=99)
    status, _, err = pushed(run, mine)
    assert status == 1
    assert line in one_error(err)
    assert hub.waits == []
    assert hub.repositories[REPO].messages == ["initial commit"]


@pytest.mark.parametrize("kind", [500, 503, "half", "drop"])
def test_no_content_is_sent_more_than_five_times(hub, run, mine, kind):
    hub.fail(STORING, kind, times=1000)
    status, _, err = pushed(run, mine)
    assert status == 1
    assert "2 times; run the same command again: uploaded files are not sent again" in one_error(err)
    assert list(xorbs_sent(hub).values()) == [4]  # two tries, each by both ways
    assert hub.repositories[REPO].messages == ["initial commit"]
    hub.faults.clear()
    assert pushed(run, mine)[0] == 0
    assert published(hub) == release_files(mine)


def test_a_storage_that_is_away_is_given_up(hub, run, mine):
    hub.storage = "http://127.0.0.1:1"
    status, _, err = pushed(run, mine)
    assert status == 1
    assert "no response (Network error: " in one_error(err)
    assert "5 times; run the same command again" in one_error(err)
    assert hub.waits == [1, 4, 16, 64]


@pytest.mark.parametrize("pattern", ["xet-write-token", "xorb-grants", "xorb-commits", "/v2/shards"])
def test_a_silent_storage_does_not_hang_the_push(hub, run, mine, monkeypatch, pattern):
    monkeypatch.setenv("HF_XET_CLIENT_READ_TIMEOUT", "300ms")
    hub.fail(pattern, "stall")
    status, _, err = pushed(run, mine)
    assert status == 0, err
    assert "no response (Network error: " in err


def test_neither_a_token_nor_a_signature_is_told(hub, run, mine):
    hub.fail(STORING, "drop", times=1000)
    hub.fail("xet-write-token", 503, times=1)
    err = pushed(run, mine)[2]
    assert not [secret for secret in ("hf_writer", "xet-someone", "signature") if secret in err]


def test_a_file_that_changes_while_it_is_sent_is_not_committed(hub, run, mine):
    name = "data/slake/train-00000-of-00001.parquet"

    def alter() -> None:
        (folder,) = (mine / planner.WORK).glob("release-*")
        path = folder / name
        data, times = path.read_bytes(), path.stat()
        path.unlink()
        path.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    hub.fail("POST .*/preupload/", alter)
    status, _, err = pushed(run, mine)
    assert status == 1
    assert one_error(err) == (
        f"{name}: changed during the push; run the same command again: uploaded files are not sent again"
    )
    assert hub.repositories[REPO].messages == ["initial commit"]


def test_what_xet_has_is_compared_and_not_only_what_the_client_stated(hub, run, mine):
    name = "data/slake/train-00000-of-00001.parquet"
    hub.fail("POST .*/commit/", lambda: hub.xet.digests.update(dict.fromkeys(hub.xet.digests, "0" * 64)))
    status, _, err = pushed(run, mine)
    assert status == 1
    assert "the files on the Hub differ from the local ones (attribution.parquet and 13 more)" in one_error(err)
    assert client.list_files(REPO, "main")[name].sha256 is not None
    assert hub.repositories[REPO].tags == {}
