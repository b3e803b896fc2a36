"""Trains a vision-language model on a mix."""

if __name__ != "medmix.train":  # one module, one name: no second registry, no second class
    raise ImportError("import medmix.train, not train")
