"""`medmix push` against a Hub on this machine: what arrives, what does not, and what is told."""

import json
import re
import shutil
from pathlib import Path

import pytest

from medmix.curate.check import check
from medmix.curate.publish import hub as client
from medmix.curate.publish import plan, planner
from medmix.curate.write import manifest

from .conftest import REPO, one_error, release_files

SENDING = "preupload|objects/batch|/lfs/|/commit/"


def pushed(run, mix: Path, *options: object) -> tuple[int, str, str]:
    return run("push", mix, "--repo", REPO, "--yes", *options)


def uploaded(hub) -> int:
    """Count the bytes of blobs that came, of unfinished ones too."""
    return sum(request.received for request in hub.answered("PUT /lfs/"))


def test_what_may_be_published_arrives_and_is_tagged(hub, run, writer, mine):
    status, out, err = pushed(run, mine)
    assert status == 0, err
    assert f"upload: {len(release_files(mine))} files" in out
    assert err.splitlines()[-1] == f"{REPO}: v1.0.0 is published: {hub.url}/datasets/{REPO}/tree/v1.0.0"
    repository = hub.repositories[REPO]
    assert repository.tags == {"v1.0.0": repository.main}
    assert repository.messages == ["initial commit", "sample v1.0.0"]
    assert (repository.private, repository.gated) == (True, "auto")
    there = hub.content(REPO, "v1.0.0")
    assert there.pop(".gitattributes")
    assert there == release_files(mine)
    assert {name.split("/")[0] for name in there} == {*manifest.ENTRIES} - {"restricted"}


def test_the_published_copy_is_a_sound_mix_of_its_own(hub, run, writer, mine, tmp_path):
    pushed(run, mine)
    for name, data in hub.content(REPO).items():
        path = tmp_path / "copy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert check(tmp_path / "copy") == []
    document = manifest.read(tmp_path / "copy")
    whole = manifest.read(mine)
    assert document["totals"]["kept"] == whole["totals"]["kept_by_verdict"]["redistributable"] == 213
    assert document["totals"]["kept_by_verdict"] == {"redistributable": 213}
    assert sum(held["records"] for held in document["withheld"]) == whole["totals"]["kept"] - 213
    assert "mimic_cxr" not in document["sources"]
    card = (tmp_path / "copy" / "README.md").read_text()
    assert f'load_dataset("{REPO}", revision="v1.0.0")' in card
    assert "213 of its 548 records, all that may be redistributed" in card
    assert "restricted/" not in card
    shared = json.loads((tmp_path / "copy" / "full_manifest.json").read_text())
    assert whole.pop("statistics")
    assert shared == whole


def test_pushed_again_nothing_is_sent_and_that_is_said(hub, run, writer, mine):
    pushed(run, mine)
    commit = hub.repositories[REPO].main
    asked = len(hub.log)
    status, out, err = pushed(run, mine)
    assert (status, out) == (0, "")
    assert err == f"{REPO}: v1.0.0 is already published with the same content; nothing to do\n"
    assert {request.line.split()[0] for request in hub.log[asked:]} == {"GET"}
    assert hub.repositories[REPO].main == commit
    document = json.loads(pushed(run, mine, "--json")[1])
    assert document["published"]["commit"] == commit
    assert document["published"]["uploaded_bytes"] == 0


def test_another_content_under_the_same_version_is_refused(hub, run, writer, mine):
    pushed(run, mine)
    before = hub.content(REPO, "v1.0.0")
    document = manifest.read(mine)
    document["mixture"]["description"] = "Another one."
    manifest.write(mine, document)
    asked = len(hub.log)
    status, _, err = pushed(run, mine)
    assert status == 1
    assert one_error(err) == (
        f"{REPO}: v1.0.0 is published with other content (README.md and 2 more), and a published version "
        "never changes: raise `version` in the mixture and build it again"
    )
    assert hub.content(REPO, "v1.0.0") == before
    assert not [request for request in hub.log[asked:] if not request.line.startswith("GET ")]


def test_a_dry_run_says_what_would_be_done_and_does_nothing(hub, run, writer, mine):
    status, out, err = run("push", mine, "--repo", REPO, "--dry-run")
    assert status == 0
    assert {line.split(":")[0] for line in err.splitlines()} == {"checking the files to upload"}
    assert out.splitlines()[:3] == [
        f"to {REPO} as v1.0.0, private, users must accept its terms",
        f"upload: {len(release_files(mine))} files, {sum(map(len, release_files(mine).values())):,} bytes, in 1 commit",
        "already on the Hub: 0 files, 0 bytes",
    ]
    assert re.search(r"^CC-BY-SA-4.0 +78$", out, re.MULTILINE)
    assert "mimic_cxr  LicenseRef-PhysioNet-Credentialed-1.5.0  40       only users whom the owner" in out
    assert hub.repositories == {}
    assert {request.line.split()[0] for request in hub.log} == {"GET"}
    document = json.loads(run("push", mine, "--repo", REPO, "--dry-run", "--json")[1])
    assert document["findings"] == []
    assert document["plan"]["records"] == 213
    assert document["plan"]["records_by_licence"] == {"CC-BY-4.0": 35, "CC-BY-SA-4.0": 78, "MIT": 100}
    assert document["plan"]["commits"] == 1
    assert set(document["plan"]["upload"]) == set(release_files(mine))


def test_a_dry_run_without_the_hub_says_so(run, mine, monkeypatch):
    status, out, err = run("push", mine, "--repo", REPO, "--dry-run")
    assert status == 0
    assert f"upload: {len(release_files(mine))} files" in out
    assert err.splitlines()[-1] == (
        "note: the Hub was not reached, so the plan assumes an empty dataset: "
        f"{REPO}: HF_HUB_OFFLINE is set; unset it to reach the Hub"
    )


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 130)])
def test_on_a_terminal_it_asks_once(hub, run, writer, mine, monkeypatch, answer, status):
    class Terminal:
        def isatty(self) -> bool:
            return True

    asked = []
    monkeypatch.setattr("medmix.publish_commands._is_terminal", Terminal().isatty)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda prompt: asked.append(prompt) or answer.strip())
    assert run("push", mine, "--repo", REPO)[0] == status
    assert len(asked) == 1
    assert (REPO in hub.repositories) == (status == 0)


def test_public_and_private(hub, run, writer, mine):
    assert "as v1.0.0, public" in pushed(run, mine, "--public")[1]
    assert hub.repositories[REPO].private is False


def test_the_mixture_names_the_dataset(hub, run, writer, mine):
    status, _, err = run("push", mine, "--yes")
    assert status == 2
    assert one_error(err) == "give the dataset: --repo OWNER/NAME, or `publish: OWNER/NAME` in the mixture"
    document = manifest.read(mine)
    document["settings"]["mixture"]["publish"] = REPO
    manifest.write(mine, document)
    assert run("push", mine, "--yes")[0] == 0
    assert "v1.0.0" in hub.repositories[REPO].tags


@pytest.mark.parametrize(
    ("repo", "line"),
    [
        ("pictures", "--repo 'pictures' is not the OWNER/NAME of a dataset on the Hub"),
        ("a/b/c", "--repo 'a/b/c' is not the OWNER/NAME of a dataset on the Hub"),
        ("someone/..", "--repo 'someone/..' is not the OWNER/NAME of a dataset on the Hub"),
    ],
)
def test_a_name_that_is_none(run, mine, repo, line):
    status, _, err = run("push", mine, "--repo", repo, "--yes")
    assert (status, one_error(err)) == (2, line)


def test_what_is_no_mix_of_ones_own_is_not_pushed(hub, run, writer, mine, tmp_path):
    status, _, err = pushed(run, tmp_path / "nowhere")
    assert status == 2
    assert "is not a finished mix (no manifest.json); build one" in one_error(err)
    assert not (tmp_path / "nowhere").exists()
    (copy,) = (mine / planner.WORK).glob("release-*")
    shutil.copytree(copy, tmp_path / "copy")
    status, _, err = pushed(run, tmp_path / "copy")
    assert status == 2
    assert "is a copy of a published mix; push the mix that a build wrote" in one_error(err)
    text = (mine / manifest.NAME).read_text()
    (mine / manifest.NAME).write_text(
        text.replace('"kept": 213', '"kept": 214').replace('"use": "research"', '"use": ""')
    )
    status, _, err = pushed(run, mine)
    assert status == 1
    assert "changed since the build wrote it" in one_error(err)
    assert hub.repositories == {}


def test_a_dataset_with_other_content_is_left_alone(hub, run, writer, mine):
    hub.add(REPO, {"train.csv": b"years of work"})
    status, _, err = pushed(run, mine)
    assert status == 1
    assert one_error(err) == f"{REPO}: contains other files (train.csv) and no version of a mix; choose another --repo"
    assert hub.content(REPO) == {"train.csv": b"years of work"}


def test_two_pushes_of_one_mix_do_not_run_at_once(hub, run, writer, mine):
    with planner.open_work_folder(mine):
        status, _, err = pushed(run, mine)
    assert (status, one_error(err)) == (2, f"{mine}: another push of it is running; wait for it")


def test_only_missing_files_are_sent(hub, run, writer, mine):
    hub.fail("PUT /lfs/", 400, times=1)
    assert pushed(run, mine)[0] == 1
    tables = {name: data for name, data in release_files(mine).items() if name.endswith(".parquet")}
    held = set(hub.repositories[REPO].lfs)
    assert 0 < len(held) < len(tables)
    asked = len(hub.log)
    assert pushed(run, mine)[0] == 0
    sent_again = [request for request in hub.log[asked:] if request.line.startswith("PUT /lfs/")]
    assert not [request for request in sent_again if any(digest in request.line for digest in held)]
    assert uploaded(hub) <= sum(map(len, tables.values())) + max(map(len, tables.values()))


def test_many_files_go_in_several_commits_and_nothing_between_looks_finished(hub, run, writer, mine, monkeypatch):
    pushed(run, mine)
    document = manifest.read(mine)
    document["mixture"]["version"] = "1.0.1"
    manifest.write(mine, document)
    monkeypatch.setattr(plan, "FILES_PER_COMMIT", 3)
    status, out, _ = pushed(run, mine)
    assert status == 0
    repository = hub.repositories[REPO]
    commits = len(repository.messages) - 2
    assert commits > 2
    assert repository.messages[2:] == [f"sample v1.0.1 ({number} of {commits})" for number in range(1, commits + 1)]
    assert f"in {commits} commits" in out
    for commit in list(repository.commits)[2:-1]:
        assert not {"README.md", manifest.NAME} & set(repository.commits[commit])
    assert repository.tags["v1.0.1"] == repository.main
    there = hub.content(REPO, "v1.0.1")
    there.pop(".gitattributes")
    assert there == release_files(mine)


def test_no_more_commits_in_an_hour_than_the_hub_takes(hub, run, writer, mine, monkeypatch):
    monkeypatch.setattr(plan, "FILES_PER_COMMIT", 1)
    status, _, err = pushed(run, mine)
    assert status == 0
    assert len(hub.repositories[REPO].messages) == len(release_files(mine)) - 1
    assert [wait > 3500 for wait in hub.waits] == [True] * (len(release_files(mine)) - 22)
    assert err.count("rate limit of 20 commits an hour: next commit in 35") == len(hub.waits)


def test_what_the_hub_would_not_take_is_said_before(hub, run, writer, mine, monkeypatch):
    monkeypatch.setattr(plan, "MAX_FILES_IN_FOLDER", 2)
    monkeypatch.setattr(plan, "MAX_FILE_BYTES", 60_000)
    status, _, err = pushed(run, mine)
    assert status == 1
    assert "data/slake: 3 files exceed the Hub's limit of 2 in a folder" in one_error(err)
    size = (mine / "data/slake/train-00000-of-00001.parquet").stat().st_size
    assert (
        f"data/slake/train-00000-of-00001.parquet: {size:,} bytes exceed the Hub's limit of 60,000 in a file"
        in one_error(err)
    )
    assert hub.repositories == {}


def test_what_arrived_wrong_gets_no_tag(hub, run, writer, mine, monkeypatch):
    real = client.list_files

    def with_another_digest(repo, commit):
        found = real(repo, commit)
        wrong = found["data/slake/train-00000-of-00001.parquet"]
        found[wrong.path] = type(wrong)(wrong.path, wrong.bytes, wrong.blob, "0" * 64)
        return found

    monkeypatch.setattr(client, "list_files", with_another_digest)
    status, _, err = pushed(run, mine)
    assert status == 1
    assert one_error(err).startswith(
        f"{REPO}: the files on the Hub differ from the local ones (data/slake/train-00000-of-00001.parquet), "
        "so no tag was created"
    )
    assert hub.repositories[REPO].tags == {}


def test_a_tag_is_never_moved(hub, run, writer, mine):
    pushed(run, mine)
    first = hub.repositories[REPO].main
    hub.repositories[REPO].commit({}, "everything away")
    assert pushed(run, mine)[0] == 0
    assert hub.repositories[REPO].tags == {"v1.0.0": first}
    with (
        planner.open_work_folder(mine),
        pytest.raises(Exception, match=r"the tag v1\.0\.0 exists at .*, and tags are never moved"),
    ):
        client.create_tag(REPO, "v1.0.0", hub.repositories[REPO].main)
    assert hub.repositories[REPO].tags == {"v1.0.0": first}


@pytest.mark.parametrize("files", range(2, 12))
def test_card_and_manifest_are_in_the_last_commit_whatever_the_number_of_files(monkeypatch, files):
    monkeypatch.setattr(plan, "FILES_PER_COMMIT", 3)
    names = ["README.md", manifest.NAME, *(f"data/slake/{number}.parquet" for number in range(files - 2))]
    lots = plan.batches({name: client.LocalFile(Path(name), 1, "0" * 64) for name in names})
    assert {"README.md", manifest.NAME} <= lots[-1].keys()
    assert sorted(name for lot in lots for name in lot) == sorted(names)
    assert len(lots) == max(1, -(-(files - 2) // 3))


def test_a_mix_of_which_nothing_may_be_redistributed(hub, run, writer, mine):
    document = manifest.read(mine)
    document["files"] = {name: facts for name, facts in document["files"].items() if not name.startswith("data/")}
    manifest.write(mine, document)
    status, _, err = pushed(run, mine)
    assert status == 1
    assert one_error(err) == f"{mine}: none of its records may be redistributed, so there is nothing to publish"


def test_a_mixture_that_names_no_dataset_is_met_early(run, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nversion: 1.0.0\ndescription: d\nsources: {slake: {}}\npublish: pictures\n")
    status, _, err = run("build", "--mixture", path)
    assert status == 2
    assert one_error(err) == "mine.yaml: publish: 'pictures' is no OWNER/NAME of a dataset on the Hub"


def test_what_goes_from_main_meanwhile_is_not_sent_past_the_gate(hub, run, writer, mine):
    pushed(run, mine)
    repository = hub.repositories[REPO]
    document = manifest.read(mine)
    document["mixture"]["version"] = "1.0.1"
    manifest.write(mine, document)
    name = "data/slake/train-00000-of-00001.parquet"

    def take_away() -> None:
        files = dict(repository.commits[repository.main])
        del files[name]
        repository.commit(files, "somebody else")

    hub.fail("POST /api/validate-yaml", take_away)
    status, _, err = pushed(run, mine)
    assert status == 1
    assert one_error(err) == (
        f"{REPO}: main lost {name} during the push; run the same command again: uploaded files are not sent again"
    )
    assert "v1.0.1" not in repository.tags
    assert pushed(run, mine)[0] == 0
    assert repository.tags["v1.0.1"] == repository.main
