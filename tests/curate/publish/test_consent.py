"""What a push asks or tells before it does anything: settings, other people's files, names, and who may write."""

import json

import pytest
import yaml

from medmix.curate.publish import planner
from medmix.curate.write import manifest

from .conftest import REPO, one_error, release_files


def pushed(run, mix, *options: object) -> tuple[int, str, str]:
    return run("push", mix, "--repo", REPO, "--yes", *options)


def lines_since(hub, before: int) -> list[str]:
    """Give the requests that change something."""
    return [request.line for request in hub.log[before:] if not request.line.startswith(("GET", "HEAD"))]


@pytest.fixture
def terminal(monkeypatch) -> list[str]:
    """A terminal whose user answers yes; gives the questions."""
    asked: list[str] = []
    monkeypatch.setattr("medmix.publish_commands._is_terminal", lambda: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda prompt: asked.append(prompt) or "y")
    return asked


def test_without_a_terminal_and_without_yes_nothing_is_begun(hub, run, writer, mine):
    status, out, err = run("push", mine, "--repo", REPO)
    assert (status, out) == (2, "")
    assert one_error(err) == ("there is no terminal to confirm the push on; give --yes, or --dry-run for the plan")
    assert hub.log == []


def test_a_published_version_becomes_public(hub, run, writer, mine):
    pushed(run, mine)
    repository = hub.repositories[REPO]
    assert repository.private is True
    before = len(hub.log)
    status, _, err = pushed(run, mine, "--public")
    assert status == 0
    assert err == (
        f"{REPO}: v1.0.0 is already published with the same content; the dataset was changed: it becomes public\n"
    )
    assert lines_since(hub, before) == [f"PUT /api/datasets/{REPO}/settings"]
    assert (repository.private, repository.gated) == (False, "auto")
    before = len(hub.log)
    assert "nothing to do" in pushed(run, mine, "--public")[2]
    assert lines_since(hub, before) == []


def test_a_gate_that_was_taken_away_comes_back(hub, run, writer, mine):
    pushed(run, mine)
    hub.repositories[REPO].gated = False
    document = json.loads(pushed(run, mine, "--json")[1])
    assert document["published"]["settings"] == ["makes users accept its terms"]
    assert hub.repositories[REPO].gated == "auto"


def test_settings_of_a_published_version_are_asked_for_on_a_terminal(hub, run, writer, mine, terminal):
    pushed(run, mine)
    status, _, err = run("push", mine, "--repo", REPO, "--public", "--dry-run")
    assert status == 0
    assert "the dataset would be changed: it becomes public" in err
    assert hub.repositories[REPO].private is True
    assert run("push", mine, "--repo", REPO, "--public")[0] == 0
    assert [question.strip() for question in terminal] == [f"{REPO} becomes public: go on? [y/N]:"]
    assert hub.repositories[REPO].private is False


def test_somebodys_card_is_overwritten_only_with_yes(hub, run, writer, mine, terminal):
    hub.add(REPO, {"README.md": b"# Years of work", "LICENSE.md": b"Mine."})
    status, _, err = run("push", mine, "--repo", REPO)
    assert status == 2
    line = f"{REPO}: has a LICENSE.md and 1 more, which no push has written"
    assert one_error(err) == f"{line}; --yes overwrites it, another --repo leaves it alone"
    assert f"note: {line}; only --yes overwrites it" in run("push", mine, "--repo", REPO, "--dry-run")[2]
    assert hub.content(REPO) == {"README.md": b"# Years of work", "LICENSE.md": b"Mine."}
    status, _, err = pushed(run, mine)
    assert status == 0
    assert f"note: {line}; it will be overwritten" in err
    assert hub.content(REPO, "v1.0.0") == release_files(mine)
    assert terminal == []


def test_a_push_that_lacks_only_its_tag_overwrites_its_own_card(hub, run, writer, mine, terminal):
    hub.fail("/tag/", 400)
    assert pushed(run, mine)[0] == 1
    document = manifest.read(mine)
    document["mixture"]["description"] = "Another one."
    manifest.write(mine, document)
    status, _, err = run("push", mine, "--repo", REPO)
    assert status == 0, err
    assert hub.content(REPO, "v1.0.0")["README.md"] == release_files(mine)["README.md"]


@pytest.mark.parametrize("repo", ["other/pictures", "hospital/pictures"])
def test_a_wrong_owner_is_told_before_anything_is_prepared(hub, run, writer, mine, repo):
    hub.organisations = ["clinic"]
    (folder,) = (mine / planner.WORK).glob("release-*")
    folder.rename(mine / "away")
    status, _, err = run("push", mine, "--repo", repo, "--yes")
    assert status == 1
    assert one_error(err) == (
        f"{repo}: someone may not write to {repo.split('/')[0]}; use --repo with one of someone, clinic, "
        "or propose it to the owner with --pr"
    )
    assert [request.line for request in hub.log if "whoami" not in request.line and "agent" not in request.line] == []
    assert not list((mine / planner.WORK).glob("release-*"))


def test_an_organisation_of_the_user_is_a_right_owner(hub, run, writer, mine):
    hub.organisations = ["Clinic"]
    assert run("push", mine, "--repo", "clinic/pictures", "--yes")[0] == 1  # the Hub here minds capitals
    assert hub.answered("repos/create")
    assert run("push", mine, "--repo", "Clinic/pictures", "--yes")[0] == 0
    assert "v1.0.0" in hub.repositories["Clinic/pictures"].tags


@pytest.mark.parametrize(
    "name",
    ["../x", "data/../../x", "/etc/passwd", "data\\..\\x", "C:/x", "data//x", "./x", "", "data/x\n", "data/x\0", ".."],
)
def test_names_that_leave_the_mix_stop_before_the_dataset_is_looked_at(hub, run, writer, mine, name):
    document = manifest.read(mine)
    document["files"][name] = document["files"]["ledger.parquet"]
    manifest.write(mine, document)
    status, _, err = pushed(run, mine)
    assert status == 2
    assert one_error(err) == (
        f"{mine / manifest.NAME}: files has the name {name[:60]!r}, which no mix has; build the mix again"
    )
    assert not hub.answered(REPO)
    assert hub.repositories == {}


def test_the_message_of_the_commit(hub, run, writer, mine):
    assert "first of all" in json.loads(pushed(run, mine, "--message", "first of all", "--json")[1])["plan"]["message"]
    assert hub.repositories[REPO].messages == ["initial commit", "first of all"]


def test_questions_of_the_mixture_are_asked_on_the_hub(hub, run, writer, mine):
    document = manifest.read(mine)
    document["settings"]["mixture"]["gate"] = {"prompt": "Say who you are.", "fields": {"Country": "country"}}
    manifest.write(mine, document)
    assert pushed(run, mine)[0] == 0
    head = yaml.safe_load(hub.content(REPO, "v1.0.0")["README.md"].decode().split("---")[1])
    assert head["extra_gated_fields"] == {"Country": "country"}
    assert head["extra_gated_prompt"].endswith(" Say who you are.")
