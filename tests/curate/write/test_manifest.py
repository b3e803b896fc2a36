"""Which manifest files are read, and which are rejected."""

import json

import pytest

from medmix.curate.errors import UsageError
from medmix.curate.write import manifest


def test_a_manifest_of_this_format_is_read(tmp_path):
    (tmp_path / manifest.NAME).write_text(json.dumps({"format": manifest.FORMAT, "files": {}}))
    assert manifest.read(tmp_path) == {"format": manifest.FORMAT, "files": {}}


@pytest.mark.parametrize(("text", "found"), [('{"format": 1, "files": {}}', 1), ('{"format": 99}', 99)])
def test_a_mix_of_another_layout_must_be_built_again(tmp_path, text, found):
    (tmp_path / manifest.NAME).write_text(text)
    message = rf"manifest\.json: has format {found}, this medmix reads only format 4; build the mix again$"
    with pytest.raises(UsageError, match=message):
        manifest.read(tmp_path)


def test_a_damaged_manifest_must_be_built_again(tmp_path):
    (tmp_path / manifest.NAME).write_text('{"format": 2')
    with pytest.raises(UsageError, match=r"manifest\.json: cannot be read .*; build the mix again$"):
        manifest.read(tmp_path)
