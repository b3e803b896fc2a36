"""Which records of a step pass the model together, and on which rank: packed into token budgets, or padded.

A plan is a list of rounds; a round has one pack for each rank, a pack the positions of its records in the step.
Every rank goes through as many rounds, because ranks that train together wait for each other. A plan depends on
the records' lengths and their order alone, so that a run which goes on after a break packs as before.
"""

import heapq
from collections.abc import Sequence
from itertools import pairwise

Pack = tuple[int, ...]
Plan = list[list[Pack]]


def pack(lengths: Sequence[int], budget: int, ranks: int = 1) -> Plan:
    """Share records among as few rounds as hold them, no pack above the budget, all packs about equally long.

    Longest first, each record goes to the pack that is shortest so far (Graham 1969, "Bounds on
    multiprocessing timing anomalies"). Packs of equal length leave no rank waiting; a pack is never
    filled up with padding.

    Args:
        lengths: tokens of each record of the step, each 1 to `budget`.
        budget: most tokens in a pack.
        ranks: packs in a round.

    Raises:
        ValueError: a record is longer than the budget.
    """
    if max(lengths) > budget:
        raise ValueError(f"a record of {max(lengths)} tokens does not fit a pack of {budget}")
    rounds = -(-sum(lengths) // (budget * ranks))
    while not (packs := _share(lengths, budget, rounds * ranks)):
        rounds += 1
    packs.sort(key=lambda members: -sum(lengths[member] for member in members))  # alike ones meet in a round
    return [packs[start : start + ranks] for start in range(0, len(packs), ranks)]


def split(count: int, micro_batch: int, ranks: int = 1) -> Plan:
    """Share `count` records in their order among rounds, at most `micro_batch` to a pack, evenly."""
    rounds = -(-count // (micro_batch * ranks))
    bounds = [count * place // (rounds * ranks) for place in range(rounds * ranks + 1)]
    packs = [tuple(range(start, end)) for start, end in pairwise(bounds)]
    return [packs[start : start + ranks] for start in range(0, len(packs), ranks)]


def positions(plan: Plan, lengths: Sequence[int], padded: bool, multiple: int = 1) -> int:
    """Count the token positions that a plan costs, on all ranks: a round costs each rank what it costs the slowest.

    Packs are filled up to a `multiple`; `padded` ones to their longest record instead.
    """
    return sum(len(packs) * max(_width(members, lengths, padded, multiple) for members in packs) for packs in plan)


def _width(members: Pack, lengths: Sequence[int], padded: bool, multiple: int) -> int:
    taken = [lengths[member] for member in members]
    return len(taken) * max(taken, default=0) if padded else -(-sum(taken) // multiple) * multiple


def _share(lengths: Sequence[int], budget: int, count: int) -> list[Pack]:
    """Fill `count` packs; give [] if a record fits none of them."""
    filled = [(0, place) for place in range(count)]
    packs: list[list[int]] = [[] for _ in range(count)]
    for member in sorted(range(len(lengths)), key=lambda member: (-lengths[member], member)):
        length, place = filled[0]
        if length + lengths[member] > budget:
            return []
        heapq.heapreplace(filled, (length + lengths[member], place))
        packs[place].append(member)
    return [tuple(sorted(members)) for members in packs]
