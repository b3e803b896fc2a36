"""Licences of PubMed Central articles: the table, how it is filled, and what a build makes of it."""

import json
import re
import shutil
from datetime import date

import polars as pl
import pytest
from huggingface_hub import close_session, constants

from medmix.cli import main
from medmix.curate import facts, mixtures
from medmix.curate.build import BuildOptions, build
from medmix.curate.check import check
from medmix.curate.errors import InputError, WorkError
from medmix.curate.fetch import articles
from medmix.curate.read.articles import Article, add_article_licences, table_digest
from medmix.curate.read.articles import load_table as article_table

from ...hub import Answer, Server

SAMPLE = mixtures.load("sample")
HEADER = "article,licence,retracted,read,where\n"
FILE_LIST = "File,Article Citation,Accession ID,Last Updated (YYYY-MM-DD HH:MM:SS),PMID,License\n"


class Bucket(Server):
    """`pmc-oa-opendata` as it answers today: a listing of versions, and one JSON object for each."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, dict[str, object]] = {}

    def add(self, article: str, licence: str | None, version: int = 1, retracted: bool = False) -> None:
        name = f"metadata/{article}.{version}.json"
        self.objects[name] = {"pmcid": article, "license_code": licence, "is_retracted": retracted}

    def route(self, path, query, method) -> Answer:
        if path == "/":
            (prefix,) = query["prefix"]
            keys = "".join(f"<Key>{name}</Key>" for name in self.objects if name.startswith(prefix))
            return Answer(200, f"<ListBucketResult>{keys}</ListBucketResult>".encode())
        return Answer(200, json.dumps(self.objects[path.removeprefix("/")]).encode())


@pytest.fixture
def bucket(monkeypatch):
    double = Bucket()
    monkeypatch.setenv("MEDMIX_PMC_ADDRESS", f"{double.url}/")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with double.running():
        yield double
    close_session()


@pytest.fixture
def pmc(root, tmp_path):
    """A root with sample PMC-OA alone; its table is still to be made."""
    shutil.copytree(root / "pmc_oa", tmp_path / "sources" / "pmc_oa")
    return tmp_path / "sources"


def put(root, name: str, text: str) -> None:
    (root / "pmc_articles").mkdir(parents=True, exist_ok=True)
    (root / "pmc_articles" / name).write_text(text)


def licences(root) -> dict[str, str]:
    return dict(article_table(root).sort("article").select("article", "licence").iter_rows())


def fill(root) -> tuple[int, int]:
    """Run the command; gives its exit code and the number of files of the table."""
    with pytest.raises(SystemExit) as stop:
        main(["fetch", "--articles", "--root", str(root)])
    return int(stop.value.code or 0), len(list((root / "pmc_articles").glob("*.csv")))


def test_the_table_of_ones_own(tmp_path):
    put(tmp_path, "a.csv", f"{HEADER}PMC1,CC BY,false,2026-11-23,by hand\nPMC2,,true,2026-11-23,by hand\n")
    assert licences(tmp_path) == {"PMC1": "CC BY", "PMC2": ""}


def test_the_file_list_that_pmc_once_offered(tmp_path):
    rows = 'oa_package/1.tar.gz,"J. Med. 2000; 1:2, 3",PMC1,2019-01-02 03:04:05,10,CC BY-NC\n'
    put(tmp_path, "oa_file_list.csv", FILE_LIST + rows)
    assert licences(tmp_path) == {"PMC1": "CC BY-NC"}


def test_what_was_asked_counts_before_a_list_and_later_before_earlier(tmp_path):
    put(tmp_path, "a.csv", f"{HEADER}PMC1,CC BY,false,2026-11-23,x\nPMC2,CC BY,false,2026-11-24,x\n")
    put(tmp_path, "b.csv", f"{HEADER}PMC1,CC BY-NC,false,2026-11-24,x\nPMC2,CC0,false,2026-11-23,x\n")
    put(tmp_path, "c.csv", f"{FILE_LIST}f,c,PMC1,2030-01-01,1,CC0\nf,c,PMC3,2019-01-01,1,CC0\n")
    assert licences(tmp_path) == {"PMC1": "CC BY-NC", "PMC2": "CC BY", "PMC3": "CC0"}


def test_no_table(tmp_path):
    assert (licences(tmp_path), table_digest(tmp_path)) == ({}, "")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("id,licence\nPMC1,CC0\n", "is no table of article licences: its columns are id, licence; give it the columns"),
        ("", "is no CSV table (empty"),
        (f'{HEADER}PMC1,"CC BY\n', "is no CSV table ("),
        (f"{HEADER}PMC1,CC0,,2026-11-23,x\n12,CC0,,2026-11-23,x\n", "'12' is no article; ids are PMC and a number"),
    ],
)
def test_a_file_that_is_no_such_table_is_named(tmp_path, text, line):
    put(tmp_path, "mine.csv", text)
    with pytest.raises(InputError, match=rf"mine\.csv: {re.escape(line)}"):
        article_table(tmp_path)


def test_rows_without_wording_take_that_of_their_article():
    rows = pl.DataFrame(
        {
            "source": ["pmc_oa", "pmc_oa", "pmc_oa", "pmc_oa", "roco", "roco", "slake"],
            "group": ["pmc/PMC1", "pmc/PMC2", "pmc/PMC3", "pmc/x.jpg", "pmc/PMC1", "roco/PMC1", "pmc/PMC1"],
            "wording": ["", "", None, "", "NO-CC CODE", "", ""],
        }
    )
    table = pl.DataFrame({"article": ["PMC1", "PMC2"], "licence": ["CC BY", ""], "article_read": "2026-11-23"})
    sources = {source: facts.load(source) for source in ("pmc_oa", "roco", "slake")}
    done = add_article_licences(rows, table, sources)
    assert done["wording"].to_list() == ["CC BY", "", None, "", "NO-CC CODE", "", ""]
    assert done["article"].to_list() == ["PMC1", "", "", "", "", "", ""]
    assert done["article_read"].to_list() == ["2026-11-23", "", "", "", "", "", ""]


def test_which_articles_the_sources_name(root, tmp_path):
    for source in ("pmc_oa", "pmc_vqa", "roco", "slake"):
        shutil.copytree(root / source, tmp_path / source)
    named = articles.article_ids(tmp_path)
    assert named == sorted(set(named))
    assert all(re.fullmatch(r"PMC\d+", article) for article in named)
    shutil.rmtree(tmp_path / "pmc_vqa")
    assert set(articles.article_ids(tmp_path)) < set(named)


def test_the_latest_version_of_an_article_is_asked(bucket):
    bucket.add("PMC1", "CC BY", version=9)
    bucket.add("PMC1", "CC BY-NC", version=10, retracted=True)
    bucket.add("PMC12", "CC0")
    answer = articles.fetch_article("PMC1", bucket.url, lambda url: bucket_text(bucket, url))
    where = f"{bucket.url}/metadata/PMC1.10.json"
    assert answer == Article("PMC1", "CC BY-NC", True, date.today().isoformat(), where)
    answer = articles.fetch_article("PMC7", bucket.url, lambda url: bucket_text(bucket, url))
    assert (answer.licence, answer.where) == ("", f"{bucket.url}/?list-type=2&prefix=metadata/PMC7.")


def bucket_text(bucket, url: str) -> str:
    path, _, query = url.removeprefix(bucket.url).partition("?")
    prefix = query.partition("prefix=")[2]
    return bucket.route(path, {"prefix": [prefix]}, "GET").body.decode()


@pytest.mark.parametrize("answer", ["<html>log in</html>", '<ListBucketResult/>{"license_code": 1}'])
def test_an_answer_of_another_form_is_no_licence(answer):
    def get(url: str) -> str:
        return (
            "<ListBucketResult><Key>metadata/PMC1.1.json</Key>" if "prefix" in url and "html" not in answer else answer
        )

    with pytest.raises(WorkError, match=r"a proxy between|not of the known form"):
        articles.fetch_article("PMC1", "http://here", get)


def test_the_command_asks_once_for_each_article(bucket, pmc, capsys):
    named = articles.article_ids(pmc)
    for article in named[1:]:
        bucket.add(article, "CC BY")
    assert fill(pmc) == (0, 1)
    assert f"{len(named)} licences added to {pmc / 'pmc_articles'}" in capsys.readouterr().err
    assert licences(pmc) == {named[0]: "", **dict.fromkeys(named[1:], "CC BY")}
    text = (pmc / "pmc_articles" / "licences-00000.csv").read_text()
    today = date.today().isoformat()
    assert text.startswith(HEADER)
    assert f"\n{named[1]},CC BY,false,{today},{bucket.url}/metadata/{named[1]}.1.json\n" in text
    asked = len(bucket.log)
    assert asked == 2 * len(named) - 1
    assert all(request.token == "" for request in bucket.log)
    assert fill(pmc) == (0, 1)
    assert len(bucket.log) == asked


def test_a_stopped_run_keeps_its_answers(bucket, pmc, capsys):
    named = articles.article_ids(pmc)
    for article in named:
        bucket.add(article, "CC BY")
    bucket.fail(rf"metadata/{named[-1]}\.", 503, times=100)
    status, files = fill(pmc)
    line = capsys.readouterr().err.splitlines()[-1]
    assert status == 1
    assert line.startswith("medmix: error: PubMed Central answers 503 to ")
    assert line.endswith("run the same command again: finished files are kept")
    assert files == 1
    kept = licences(pmc)
    assert 0 < len(kept) < len(named)
    bucket.faults.clear()
    assert fill(pmc) == (0, 2)
    assert licences(pmc) == dict.fromkeys(named, "CC BY")
    assert all(len(bucket.answered(rf"/metadata/{article}\.1")) == 1 for article in kept)


@pytest.mark.parametrize("arguments", [["slake"], ["--check"], ["--mixture", "v1"]])
def test_articles_takes_no_source_and_no_check(tmp_path, capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(["fetch", "--articles", "--root", str(tmp_path), *arguments])
    assert stop.value.code == 2
    assert "--articles takes no SOURCE, --mixture and --check" in capsys.readouterr().err


def test_a_build_takes_the_licences_and_notices_when_they_change(pmc, tmp_path, capsys):
    out = tmp_path / "mix"
    options = BuildOptions(only=("pmc_oa",))
    unclear = build(SAMPLE, pmc, out, options)
    assert unclear["sources"]["pmc_oa"]["kept_by_verdict"].keys() == {"unclear"}

    free, closed, *_ = articles.article_ids(pmc)
    put(pmc, "a.csv", f"{HEADER}{free},CC BY,false,2026-11-23,x\n{closed},CC BY-NC-ND,false,2026-11-23,x\n")
    known = build(SAMPLE, pmc, out, options)
    assert known["inputs"] != unclear["inputs"]
    assert known["sources"]["pmc_oa"]["kept"] == unclear["sources"]["pmc_oa"]["kept"]
    assert known["sources"]["pmc_oa"]["kept_by_licence"].keys() == {
        "LicenseRef-CC-BY",
        "LicenseRef-CC-BY-NC-ND",
        "LicenseRef-unclear",
    }
    data = pl.concat([pl.read_parquet(path) for path in (out / "data" / "pmc_oa").glob("*.parquet")])
    assert set(data["group"]) == {f"pmc/{free}"}
    assert set(data["license"]) == {"LicenseRef-CC-BY"}
    assert check(out) == []

    capsys.readouterr()
    assert build(SAMPLE, pmc, out, options)["inputs"] == known["inputs"]
    assert f"{out} is up to date" in capsys.readouterr().err
    shutil.rmtree(pmc / "pmc_articles")
    assert build(SAMPLE, pmc, out, options)["inputs"] == unclear["inputs"]
