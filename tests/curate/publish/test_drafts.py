"""A push to a branch or a pull request: what is there afterwards, how it resumes, and how it gets its tag."""

import json

import pytest

from .conftest import REPO, one_error, release_files

OWNER = "other/pictures"

NO_TAG = "it has no tag yet: once main has these files, a push to main verifies and tags them"


def pushed(run, mix, *options: object) -> tuple[int, str, str]:
    return run("push", mix, "--repo", REPO, "--yes", *options)


@pytest.fixture
def theirs(hub) -> str:
    """A dataset to which the user may not write."""
    hub.add(OWNER, {".gitattributes": b"*.parquet filter=lfs\n"})
    return OWNER


def test_a_branch_gets_the_files_and_main_and_tags_stay(hub, run, writer, mine):
    status, out, err = pushed(run, mine, "--revision", "review")
    assert status == 0, err
    assert out.startswith(f"to {REPO} as v1.0.0, review, without a tag, private, users must accept its terms\n")
    assert err.splitlines()[-2:] == [
        f"{REPO}: v1.0.0 is on the branch review: {hub.url}/datasets/{REPO}/tree/review",
        NO_TAG,
    ]
    repository = hub.repositories[REPO]
    assert repository.tags == {}
    assert hub.content(REPO, "main").keys() == {".gitattributes"}
    there = hub.content(REPO, "review")
    there.pop(".gitattributes")
    assert there == release_files(mine)
    assert (repository.private, repository.gated) == (True, "auto")


def test_a_branch_is_continued_and_main_gets_the_tag_without_new_content(hub, run, writer, mine):
    pushed(run, mine, "--revision", "review")
    head = hub.repositories[REPO].refs["review"]
    asked = len(hub.log)
    document = json.loads(pushed(run, mine, "--revision", "review", "--json")[1])
    assert (document["plan"]["upload"], document["plan"]["revision"]) == ({}, "review")
    assert document["published"]["tagged"] is False
    assert hub.repositories[REPO].refs["review"] == head
    assert not [request for request in hub.log[asked:] if "/commit/" in request.line]
    asked = len(hub.log)
    assert pushed(run, mine)[0] == 0
    assert not [request for request in hub.log[asked:] if "PUT /lfs/" in request.line]
    assert hub.repositories[REPO].tags == {"v1.0.0": hub.repositories[REPO].main}


def test_a_pull_request_to_somebody_elses_dataset(hub, run, writer, mine, theirs):
    before = hub.repositories[theirs].main
    status, out, err = run("push", mine, "--repo", theirs, "--yes", "--pr", "--message", "Films of June")
    assert status == 0, err
    assert out.startswith(f"to {theirs} as v1.0.0, a new pull request, without a tag, public\n")
    assert err.splitlines()[-2:] == [
        f"{theirs}: v1.0.0 is proposed: {hub.url}/datasets/{theirs}/discussions/1",
        NO_TAG,
    ]
    repository = hub.repositories[theirs]
    assert repository.proposals == [{"title": "Films of June", "author": "someone", "status": "open"}]
    assert (repository.main, repository.tags, repository.gated) == (before, {}, False)
    there = hub.content(theirs, "refs/pr/1")
    assert f'load_dataset("{theirs}"'.encode() in there["README.md"]
    there.pop(".gitattributes")
    assert there == release_files(mine)
    assert not hub.answered("repos/create|/settings|/tag/")


FAULTS = {
    "the answer of the new pull request is lost": ("POST .*/discussions", "late"),
    "dropped at its details": ("GET .*/discussions/1", "drop"),
    "503 at the list": ("GET .*/discussions[?]", 503),
    "the answer of the commit is lost": ("/commit/", "late"),
    "500 at opening it": ("discussions/1/status", 500),
}


@pytest.mark.parametrize("name", FAULTS)
def test_one_pull_request_whatever_fails(hub, run, writer, mine, theirs, name):
    hub.fail(*FAULTS[name])
    status, _, err = run("push", mine, "--repo", theirs, "--yes", "--pr")
    assert status == 0, err
    assert "; retry in " in err
    assert [proposal["status"] for proposal in hub.repositories[theirs].proposals] == ["open"]


def test_a_stopped_pull_request_is_continued(hub, run, writer, mine, theirs):
    hub.fail("/commit/", 400)
    assert run("push", mine, "--repo", theirs, "--yes", "--pr")[0] == 1
    assert [proposal["status"] for proposal in hub.repositories[theirs].proposals] == ["draft"]
    assert run("push", mine, "--repo", theirs, "--yes", "--pr")[0] == 0
    assert [proposal["status"] for proposal in hub.repositories[theirs].proposals] == ["open"]


def test_after_the_merge_a_push_verifies_and_tags(hub, run, writer, mine):
    hub.add(REPO, {".gitattributes": b"*.parquet filter=lfs\n"})
    pushed(run, mine, "--pr")
    hub.discussions.merge(REPO, 1)
    status, _, err = pushed(run, mine, "--pr")
    assert status == 1
    assert one_error(err) == f"{REPO}: main has all files of v1.0.0; run the command without --pr to tag it"
    asked = len(hub.log)
    assert pushed(run, mine)[0] == 0
    assert not [request for request in hub.log[asked:] if "/commit/" in request.line or "PUT /lfs/" in request.line]
    assert hub.repositories[REPO].tags == {"v1.0.0": hub.repositories[REPO].main}
    assert len(hub.repositories[REPO].proposals) == 1


def test_an_open_pull_request_can_be_named(hub, run, writer, mine):
    hub.add(REPO, {".gitattributes": b"*.parquet filter=lfs\n"})
    status, _, err = pushed(run, mine, "--revision", "refs/pr/3")
    assert status == 1
    assert one_error(err) == f"{REPO}: has no pull request refs/pr/3; see {hub.url}/datasets/{REPO}/discussions"
    pushed(run, mine, "--pr")
    assert pushed(run, mine, "--revision", "refs/pr/1")[0] == 0
    assert len(hub.repositories[REPO].proposals) == 1


REFUSED = {
    ("--pr", "--revision", "review"): "give --pr or --revision, not both: a pull request is always one for main",
    ("--pr", "--public"): "give --pr or --public, not both: a pull request changes no settings",
    ("--revision", "v2.0.0"): "--revision v2.0.0 is the name of a version's tag; choose another branch",
    ("--revision", "../x"): "--revision '../x' is not the name of a branch",
    ("--revision", "a b"): "--revision 'a b' is not the name of a branch",
    ("--revision", ""): "--revision '' is not the name of a branch",
    ("--revision", "refs/heads/x/"): "--revision 'refs/heads/x/' is not the name of a branch",
}


@pytest.mark.parametrize("options", REFUSED)
def test_options_that_do_not_agree(hub, run, writer, mine, options):
    status, _, err = pushed(run, mine, *options)
    assert (status, one_error(err)) == (2, REFUSED[options])
    assert hub.log == []


def test_nothing_can_be_proposed_to_a_dataset_that_is_not_there(hub, run, writer, mine):
    status, _, err = pushed(run, mine, "--pr")
    assert status == 1
    assert one_error(err) == f"{REPO}: does not exist, or is not visible to you, so nothing can be proposed to it"
    assert hub.repositories == {}
