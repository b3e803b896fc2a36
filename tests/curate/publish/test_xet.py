"""A push with the real hf_xet, through the Hub's token route and a storage that puts the files together."""

import re

import pytest
from huggingface_hub import constants

from .conftest import REPO, one_error, release_files


@pytest.fixture
def xet_on(hub, writer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    monkeypatch.setenv("HF_XET_XORB_COMPRESSION_POLICY", "none")
    return hub


def pushed(run, mix, *options: object) -> tuple[int, str, str]:
    return run("push", mix, "--repo", REPO, "--yes", *options)


def test_a_push_arrives(xet_on, run, mine):
    status, _, err = pushed(run, mine)
    for r in xet_on.log: print(r)
    assert status == 0, err
    there = xet_on.content(REPO, "v1.0.0")
    there.pop(".gitattributes")
    assert there == release_files(mine)
