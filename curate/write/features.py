"""The columns of a mix as `datasets` features and as an Arrow schema."""

import json

import datasets
import pyarrow as pa

FEATURES = datasets.Features(
    {
        "id": datasets.Value("string"),
        "source": datasets.Value("string"),
        "split": datasets.Value("string"),
        "task": datasets.Value("string"),
        "modality": datasets.Value("string"),
        "images": datasets.List(datasets.Image()),
        "messages": datasets.List(
            {
                "role": datasets.Value("string"),
                "content": datasets.List({"type": datasets.Value("string"), "text": datasets.Value("string")}),
            }
        ),
        "question": datasets.Value("string"),
        "answer": datasets.Value("string"),
        "alternatives": datasets.List(datasets.Value("string")),
        "choices": datasets.List(datasets.Value("string")),
        "answer_type": datasets.Value("string"),
        "language": datasets.Value("string"),
        "group": datasets.Value("string"),
        "license": datasets.Value("string"),
        "license_verdict": datasets.Value("string"),
        "license_evidence": {
            "declared": datasets.Value("string"),
            "upstream": datasets.Value("string"),
            "evidence": datasets.Value("string"),
            "read": datasets.Value("string"),
        },
        "attribution": datasets.Value("string"),
        "upstream": {
            "dataset": datasets.Value("string"),
            "revision": datasets.Value("string"),
            "file": datasets.Value("string"),
            "row": datasets.Value("int64"),
        },
        "image_sha256": datasets.List(datasets.Value("string")),
        "image_phash": datasets.List(datasets.Value("string")),
    }
)
"""The features with which `datasets` loads a mix.

`license` is the effective licence. `license_evidence` has the licence that the Hub card declares, the licence that
upstream states for the record, where it was read and why it applies, and the date.
"""


def mix_schema() -> pa.Schema:
    """Return the Arrow schema of the shards, with the metadata from which `datasets` restores the features."""
    info = {"info": {"features": FEATURES.to_dict()}}
    return FEATURES.arrow_schema.with_metadata({"huggingface": json.dumps(info, sort_keys=True)})
