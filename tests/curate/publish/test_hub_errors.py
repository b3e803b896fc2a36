"""Whatever the Hub does, a push arrives or says plainly why not; no token is ever told."""

import logging
from collections import Counter

import pytest
from huggingface_hub import get_session

from medmix.curate.publish import hub_errors, retries

from ...hub.server import Fault
from .conftest import REPO, one_error, release_files

PASSING = {
    "429 with Retry-After at preupload": [("preupload", 429, {"Retry_After": "7"})],
    "500 at the LFS batch": [("objects/batch", 500, {})],
    "502 at an upload": [("PUT /lfs/", 502, {})],
    "504 at an upload": [("PUT /lfs/", 504, {})],
    "uploads that break off": [("PUT /lfs/", "half", {}), ("PUT /lfs/", "half", {})],
    "an upload that is reset": [("PUT /lfs/", "reset", {})],
    "an upload address that has expired": [("PUT /lfs/", 403, {})],
    "an upload whose answer is lost": [("PUT /lfs/", "late", {})],
    "429 with Retry-After at the commit": [("/commit/", 429, {"Retry_After": "60"})],
    "500 at the commit": [("/commit/", 500, {})],
    "504 at the commit": [("/commit/", 504, {})],
    "504 at a commit that was made": [("/commit/", "late-504", {})],
    "a commit that is dropped": [("/commit/", "drop", {})],
    "a commit that is reset": [("/commit/", "reset", {})],
    "a commit whose answer is lost": [("/commit/", "late", {})],
    "a page in place of an answer": [("validate-yaml", "html", {})],
    "502 at the tree": [("/tree/", 502, {})],
    "dropped at the tree": [("/tree/", "drop", {})],
    "500 at refs": [("/refs", 500, {})],
    "503 at the first question": [("GET /api/datasets", 503, {})],
    "dropped at whoami": [("whoami", "drop", {})],
    "504 at create": [("repos/create", "late-504", {})],
    "a dropped answer to create": [("repos/create", "late", {})],
    "500 at settings": [("/settings", 500, {})],
    "504 at the tag": [("/tag/", 504, {})],
    "a tag whose answer is lost": [("/tag/", "late", {})],
    "all at once": [
        ("preupload", 429, {"Retry_After": "1"}),
        ("PUT /lfs/", "half", {}),
        ("PUT /lfs/", 500, {}),
        ("/commit/", "late-504", {}),
        ("/tree/", "cut", {}),
        ("/tag/", "late", {}),
    ],
}


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_survived_and_told_in_a_line(hub, run, writer, mine, name):
    for pattern, kind, headers in PASSING[name]:
        hub.fail(pattern, kind, **headers)
    status, _, err = run("push", mine, "--repo", REPO, "--yes")
    assert status == 0, err
    assert all(fault.times == 0 for fault in hub.faults)
    repository = hub.repositories[REPO]
    assert repository.messages == ["initial commit", "sample v1.0.0"]
    assert repository.tags == {"v1.0.0": repository.main}
    there = hub.content(REPO, "v1.0.0")
    there.pop(".gitattributes")
    assert there == release_files(mine)
    told = [line for line in err.splitlines() if "; retry in " in line]
    assert 1 <= len(told) <= len(hub.faults)
    assert "signature" not in err
    if "Retry_After" in PASSING[name][0][2]:
        asked = int(PASSING[name][0][2]["Retry_After"]) + 1
        assert asked in hub.waits
        assert f"; retry in {asked} s" in err


def test_a_race_is_won_on_top_of_what_the_other_did(hub, run, writer, mine):
    repository = None

    class Moving(list):
        """Lets somebody else commit just before the first commit of ours."""

        def append(self, request) -> None:
            nonlocal repository
            super().append(request)
            if "POST /api/validate-yaml" in request.line and repository is None:
                repository = hub.repositories[REPO]
                files = {**repository.commits[repository.main], "notes.txt": hub.store.file(b"mine", False)}
                repository.commit(files, "somebody else")

    hub.log = Moving()
    status, _, err = run("push", mine, "--repo", REPO, "--yes")
    assert status == 0, err
    assert "commit: status 412 (The branch has moved: a commit has happened since); retry in 1 s" in err
    assert hub.repositories[REPO].messages == ["initial commit", "somebody else", "sample v1.0.0"]
    assert hub.content(REPO, "v1.0.0")["notes.txt"] == b"mine"


def test_a_hub_that_keeps_failing_is_given_up_and_gone_on_with(hub, run, writer, mine):
    hub.fail("/commit/", 504, times=5)
    status, _, err = run("push", mine, "--repo", REPO, "--yes")
    assert status == 1
    assert one_error(err) == (
        f"{REPO}: commit: status 504, 5 times; run the same command again: uploaded files are not sent again"
    )
    assert hub.repositories[REPO].tags == {}
    sent = len(hub.answered("PUT /lfs/"))
    assert run("push", mine, "--repo", REPO, "--yes")[0] == 0
    assert len(hub.answered("PUT /lfs/")) == sent


@pytest.mark.parametrize("kind", [500, 503, 429, "drop", "half"])
@pytest.mark.parametrize("request_", ["POST .*/preupload/", "POST .*/objects/batch", "PUT /lfs/", "POST .*/commit/"])
def test_no_content_is_sent_more_than_five_times(hub, run, writer, mine, request_, kind):
    hub.fail(request_, kind, times=1000)
    status, _, err = run("push", mine, "--repo", REPO, "--yes")
    assert status == 1
    reason = f"status {kind}" if isinstance(kind, int) else "no response"
    assert reason in one_error(err)
    assert one_error(err).endswith("5 times; run the same command again: uploaded files are not sent again")
    sent = Counter(request.line.split("?")[0] for request in hub.answered(request_))
    assert max(sent.values()) == 5
    assert hub.repositories[REPO].tags == {}
    assert set(hub.repositories[REPO].messages) <= {"initial commit", "sample v1.0.0"}


def test_failures_that_are_not_in_a_row_do_not_add_up(hub, run, writer, mine):
    hub.faults += [Fault("PUT /lfs/", 503, times=1, skip=2 * number) for number in range(8)]
    status, _, err = run("push", mine, "--repo", REPO, "--yes")
    assert status == 0, err


def test_a_silent_hub_does_not_hang_the_push(hub, run, writer, mine, monkeypatch):
    monkeypatch.setattr(retries, "TIMEOUT_S", 0.5)
    hub.fail("/commit/", "stall")
    status, _, err = run("push", mine, "--repo", REPO, "--yes")
    assert status == 0
    assert f"{REPO}: commit: no response (timed out); retry in 1 s" in err


REFUSED = {
    "no token": ("", [], "token: not found; log in (hf auth login, or a token in HF_TOKEN)"),
    "a wrong token": (
        "hf_nobody1234",
        [],
        "token: the Hub rejects the token (Invalid credentials in Authorization header); log in",
    ),
    "a token that only reads": ("hf_reader", [], "token: belongs to someone and is read-only; log in"),
    "an illegal token": ("hf_bad\tone", [], "token: contains characters that no token has; log in"),
    "another one's dataset": (
        "hf_writer",
        [],
        "other/pictures: someone may not write to other; use --repo with one of someone, or propose it to the owner",
    ),
    "expired on the way": (
        "hf_writer",
        [("objects/batch", 401, {"X_Error_Message": "Invalid credentials in Authorization header"})],
        f"{REPO}: upload of attribution.parquet and 13 more: the Hub rejects the token",
    ),
    "expired, said as not found": (
        "hf_writer",
        [("/commit/", 401, {"X_Error_Code": "RepoNotFound"})],
        f"{REPO}: commit: not found, not accessible, or the token has expired",
    ),
    "forbidden": ("hf_writer", [("preupload", 403, {"X_Error_Message": "Forbidden"})], "permission denied"),
    "full": (
        "hf_writer",
        [("objects/batch", 403, {"X_Error_Message": "You have exceeded your storage quota"})],
        "the Hub has no storage left for it (You have exceeded your storage quota); free some there, or ask for more",
    ),
    "too large": ("hf_writer", [("PUT /lfs/", 413, {})], "the Hub has no storage left for it; free some there"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_pass_is_said_at_once(hub, run, mine, monkeypatch, name):
    token, plan, line = REFUSED[name]
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    for pattern, kind, headers in plan:
        hub.fail(pattern, kind, times=99, **headers)
    repo = "other/pictures" if "other" in name else REPO
    status, _, err = run("push", mine, "--repo", repo, "--yes")
    assert status == 1
    assert line in one_error(err)
    assert hub.waits == []
    assert not token or token not in err
    if not plan:
        assert not hub.answered("preupload|objects/batch|/lfs/|/commit/")


def test_a_full_account_is_said_before_anything_is_uploaded(hub, run, writer, mine):
    hub.writing.quota = 1000
    status, _, err = run("push", mine, "--repo", REPO, "--yes")
    assert status == 1
    assert (
        "the Hub has no storage left for it (You have exceeded your storage quota; upgrade to store more)"
        in one_error(err)
    )
    assert not hub.answered("PUT /lfs/")


def test_the_token_is_neither_told_nor_kept(hub, run, writer, mine, caplog):
    hub.fail("PUT /lfs/", 500)
    hub.fail("/commit/", 400, X_Error_Message="token hf_writer of Bearer hf_writer is odd")
    with caplog.at_level(logging.INFO):
        status, out, err = run("push", mine, "--repo", REPO, "--yes")
        assert status == 1
        assert one_error(err) == f"{REPO}: commit: status 400 (token *** of Bearer *** is odd)"
        results = [run("push", mine, "--repo", REPO, "--yes", "--json") for _ in range(2)]
    told = [out, err, *(text for result in results for text in result[1:]), caplog.text]
    assert not [text for text in told if "hf_writer" in text]
    for path in mine.rglob("*"):
        assert not path.is_file() or b"hf_writer" not in path.read_bytes()
    for data in hub.content(REPO).values():
        assert b"hf_writer" not in data


def test_an_illegal_header_does_not_tell_the_token(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    failure = hub_errors.classify(RuntimeError("Illegal header value b'Bearer secret'"))
    assert failure.message == "Illegal header value b'Bearer ***'"


def test_the_client_is_left_as_it_was():
    logger = logging.getLogger("huggingface_hub")
    before = logger.handlers[:]
    with retries.client_session():
        assert get_session().timeout.read == retries.TIMEOUT_S
    assert logger.handlers == before
    assert get_session().timeout.read is None
