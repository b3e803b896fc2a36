"""The limits of hf_xet reach it, give way to the user's, and end with the push; its errors are told apart."""

import hf_xet
import pytest
from huggingface_hub import constants

from medmix.curate.publish import hub_errors, planner, xet

STORAGE = "https://cas.example.org/v1"


def settings() -> dict[str, object]:
    """Give what a session of hf_xet that begins now would use."""
    return dict(iter(hf_xet.XetConfig()))


def test_the_limits_reach_hf_xet_and_end_with_the_push(mine):
    before = settings()
    with planner.open_work_folder(mine):
        inside = settings()
    assert settings() == before
    changed = {name: inside[name] for name in inside if inside[name] != before[name]}
    assert changed == {
        "client.retry_max_attempts": 0,
        "data.max_concurrent_file_ingestion": 4,
        "client.ac_max_upload_concurrency": 16,
    }
    assert inside["client.read_timeout"].total_seconds() == 300
    assert inside["client.connect_timeout"].total_seconds() == 60


@pytest.mark.parametrize("name", ["HF_XET_MAX_CONCURRENT_FILE_INGESTION", "HF_XET_DATA_MAX_CONCURRENT_FILE_INGESTION"])
def test_what_the_user_set_stays(monkeypatch, name):
    monkeypatch.setenv("HF_XET_CLIENT_READ_TIMEOUT", "7s")
    monkeypatch.setenv("HF_XET_CLIENT_RETRY_MAX_ATTEMPTS", "3")
    monkeypatch.setenv(name, "2")
    with xet.limits():
        inside = settings()
    assert inside["client.read_timeout"].total_seconds() == 7
    assert inside["client.retry_max_attempts"] == 3
    assert inside["data.max_concurrent_file_ingestion"] == 2


def test_high_performance_lifts_the_limits_on_workers(monkeypatch):
    monkeypatch.setenv("HF_XET_HIGH_PERFORMANCE", "1")
    free = settings()["client.ac_max_upload_concurrency"]
    with xet.limits():
        assert settings()["client.ac_max_upload_concurrency"] == free
        assert settings()["client.retry_max_attempts"] == 0


def raised(kind: type[Exception], text: str) -> Exception:
    """Make an error as hf_xet does, which gives its own classes no constructor of their own."""
    return kind(text)


ERRORS = {
    "own authentication": (
        raised(hf_xet.XetAuthenticationError, "Authentication failed"),
        True,
        "Authentication failed",
    ),
    "own missing object": (raised(hf_xet.XetObjectNotFoundError, "no such xorb"), False, "no such xorb"),
    "time-out": (TimeoutError("operation timed out"), True, "no response (operation timed out)"),
    "connection": (ConnectionError("Network error: refused"), True, "no response (Network error: refused)"),
    "signed address": (
        ConnectionError(f"error sending request for url ({STORAGE}/x?X-Amz-Signature=abc)"),
        True,
        f"no response (error sending request for url ({STORAGE}/x?***))",
    ),
    "bare runtime error": (RuntimeError("Internal error: channel closed"), True, "Internal error: channel closed"),
    "status in a runtime error": (
        RuntimeError(f"HTTP status server error (502 Bad Gateway), domain: {STORAGE}/shards"),
        True,
        "status 502 (Xet)",
    ),
    "panic": (RuntimeError("task panicked"), True, "task panicked"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_of_hf_xet(name):
    error, is_transient, message = ERRORS[name]
    failure = hub_errors.classify(error)
    assert (failure.is_transient, failure.message) == (is_transient, message)


@pytest.mark.parametrize(("path", "sends"), [("xorbs/default/ab", 2), ("xorb-grants/default/ab", 1), ("shards", 1)])
def test_content_counts_as_sent_on_both_ways(path, sends):
    error = ConnectionError(f"HTTP status server error (500 Internal Server Error), domain: {STORAGE}/{path}")
    assert hub_errors.classify(error).sends == sends


def test_a_404_of_the_storage_is_no_missing_dataset():
    text = "HTTP status client error (404 Not Found), domain: "
    assert hub_errors.classify(
        ConnectionError(f"{text}{constants.ENDPOINT}/api/datasets/a/b/xet-write-token")
    ).not_found
    failure = hub_errors.classify(ConnectionError(f"{text}{STORAGE}/xorbs/default/ab"))
    assert (failure.message, failure.is_transient) == ("status 404 (Xet)", False)


def test_errors_of_local_files_are_not_the_hubs():
    assert hub_errors.classify(OSError("I/O error: No such file or directory (os error 2)")) is None
    assert hub_errors.classify(FileNotFoundError(2, "No such file or directory", "a.parquet")) is None
    assert hub_errors.classify(PermissionError(13, "Permission denied", "a.parquet")) is None
