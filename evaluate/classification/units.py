"""Units: what stands whole in one split. A patient's images, and all copies of them, are one."""

from collections.abc import Sequence

from .sample import Sample


def units(samples: Sequence[Sample], pairs: Sequence[tuple[int, int]]) -> list[str]:
    """Give the unit of each sample: its group joined with those that it shares copies with.

    Samples of one group and copies of one another are of one unit, and so on along the chain: two images that are
    only copies of a third one are kept together as well, since together is the safe side. A unit is called by the
    first of its groups, or by the first of its keys, so that its name does not depend on the order of the samples.
    """
    parent = list(range(len(samples)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first: dict[str, int] = {}
    for place, sample in enumerate(samples):
        if sample.group:
            parent[root(place)] = root(first.setdefault(sample.group, place))
    for one, other in pairs:
        parent[root(one)] = root(other)
    names: dict[int, str] = {}
    for place, sample in enumerate(samples):
        name, here = sample.group or sample.key, root(place)
        names[here] = min(name, names.get(here, name))
    return [names[root(place)] for place in range(len(samples))]


def contradictory(samples: Sequence[Sample], pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Give the pairs of copies whose labels differ: the same image, filed under two classes."""
    return [(one, other) for one, other in pairs if samples[one].labels != samples[other].labels]
