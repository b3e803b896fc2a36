"""Reproducible scores of a model: its answers to questions, and the transfer of its encoder."""

if __name__ != "medmix.evaluate":  # one module, one name: no second registry, no second class
    raise ImportError("import medmix.evaluate, not evaluate")
