"""From a model to scores that others can check: answers to questions, and how well its encoder transfers."""

if __name__ != "medmix.evaluate":  # one module, one name: no second registry, no second class
    raise ImportError("import medmix.evaluate, not evaluate")
