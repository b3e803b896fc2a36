"""From upstream bytes to a mix; nothing in here imports torch."""

if __name__ != "medmix.curate":  # one module, one name: no second registry, no second class
    raise ImportError("import medmix.curate, not curate")
