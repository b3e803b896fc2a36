"""The real Hub, for those who ask for it: MEDMIX_TEST_REPO=OWNER/NAME and a token in HF_TOKEN when the tests start.

It makes that dataset, private, and takes it away again; Xet is on there, as it is not in the other tests.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = os.environ.get("MEDMIX_TEST_REPO", "")
TOKEN = os.environ.get("MEDMIX_TEST_TOKEN", "")

FORGET = "from huggingface_hub import delete_repo; import sys; delete_repo(sys.argv[1], repo_type='dataset')"
LOAD = "import datasets, sys; print(datasets.load_dataset(sys.argv[1], revision='v1.0.0')['train'].num_rows)"


@pytest.mark.skipif(not (REPO and TOKEN), reason="no MEDMIX_TEST_REPO and token for the real Hub")
def test_a_mix_is_published_and_loads(mine, tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = {**kept, "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "home")}

    def python(*arguments: object) -> str:
        command = [sys.executable, *(str(argument) for argument in arguments)]
        root = Path(__file__).resolve().parents[3]
        done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    try:
        assert "v1.0.0 is published: " in python("-m", "medmix", "push", mine, "--repo", REPO, "--yes")
        assert "nothing to do" in python("-m", "medmix", "push", mine, "--repo", REPO, "--yes")
        assert int(python("-c", LOAD, REPO).split()[-1]) > 0
    finally:
        python("-c", FORGET, REPO)
