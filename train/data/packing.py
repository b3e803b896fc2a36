"""Plans which records of a step share a forward pass, and on which rank: packed, or in padded micro-batches.

A plan is a list of rounds. A round has one pack per rank, and a pack lists the indices of its records in the step.
Every rank has the same number of rounds, because ranks that train together wait for each other. A plan depends on
the records' lengths and their order alone, so that a resumed run packs as before.
"""

import heapq
from collections.abc import Sequence
from itertools import pairwise

Pack = tuple[int, ...]
Plan = list[list[Pack]]


def pack(lengths: Sequence[int], max_tokens: int, world_size: int = 1) -> Plan:
    """Distribute records over as few rounds as fit, no pack above `max_tokens`, all packs about equally long.

    Longest first, each record goes to the pack that is shortest so far (Graham 1969, "Bounds on
    multiprocessing timing anomalies"). Packs of equal length leave no rank waiting; a pack is never
    filled up with padding.

    Args:
        lengths: tokens of each record of the step, each 1 to `max_tokens`.
        max_tokens: of a pack.
        world_size: packs per round.

    Raises:
        ValueError: a record is longer than `max_tokens`.
    """
    if max(lengths) > max_tokens:
        raise ValueError(f"a record of {max(lengths)} tokens does not fit a pack of {max_tokens}")
    rounds = -(-sum(lengths) // (max_tokens * world_size))
    while not (packs := _fill_packs(lengths, max_tokens, rounds * world_size)):
        rounds += 1
    packs.sort(key=lambda members: -sum(lengths[member] for member in members))  # a round gets packs of like length
    return [packs[start : start + world_size] for start in range(0, len(packs), world_size)]


def split(count: int, micro_batch_size: int, world_size: int = 1) -> Plan:
    """Distribute `count` records in their order over rounds, at most `micro_batch_size` to a pack, evenly."""
    rounds = -(-count // (micro_batch_size * world_size))
    bounds = [count * place // (rounds * world_size) for place in range(rounds * world_size + 1)]
    packs = [tuple(range(start, end)) for start, end in pairwise(bounds)]
    return [packs[start : start + world_size] for start in range(0, len(packs), world_size)]


def computed_tokens(plan: Plan, lengths: Sequence[int], padded: bool, multiple: int = 1) -> int:
    """Count the tokens that a plan computes on all ranks, padding included; a round costs every rank its largest pack.

    A pack is filled up to a `multiple`; the rows of a `padded` one to its longest record instead.
    """
    return sum(len(packs) * max(_pack_tokens(pack, lengths, padded, multiple) for pack in packs) for packs in plan)


def _pack_tokens(members: Pack, lengths: Sequence[int], padded: bool, multiple: int) -> int:
    tokens = [lengths[member] for member in members]
    return len(tokens) * max(tokens, default=0) if padded else -(-sum(tokens) // multiple) * multiple


def _fill_packs(lengths: Sequence[int], max_tokens: int, count: int) -> list[Pack]:
    """Fill `count` packs; give [] if a record fits none of them."""
    filled = [(0, place) for place in range(count)]
    packs: list[list[int]] = [[] for _ in range(count)]
    for member in sorted(range(len(lengths)), key=lambda member: (-lengths[member], member)):
        length, place = filled[0]
        if length + lengths[member] > max_tokens:
            return []
        heapq.heapreplace(filled, (length + lengths[member], place))
        packs[place].append(member)
    return [tuple(sorted(members)) for members in packs]
