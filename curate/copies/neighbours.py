"""Search over fingerprints: find pairs of images that may be copies; pixel alignment confirms or rejects them.

Two images are candidates when at least two of their keypoints match and imply the same turn, zoom and shift, or
when their hashes are close. Work and memory are bounded for any data: of a key that many images share only
`MAX_IMAGES_PER_KEY` are compared, and images of equal fingerprint are searched as one and paired as many.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from . import mapped
from .fingerprints import (
    BITS,
    FINGERPRINT,
    KEYPOINTS,
    MIRROR_MASK,
    Fingerprints,
    StackedViews,
    Views,
)
from .grey import Floats, Pixels
from .hash_neighbours import by_hash

Numbers: TypeAlias = npt.NDArray[np.int64]

BLOCK: Final = 1024
"""Views searched at once in each thread: where many images share keys, their votes take up to 0.8 MB a view."""

MAX_IMAGES_PER_KEY: Final = 48
"""Images that are compared for one key; a key of more images is not distinctive."""

FEW_VOTES: Final = 4
"""Votes that propose a pair where each of their keys is shared by many images."""

MAX_TURN: Final = 20.0
MAX_ZOOM: Final = 1.35
"""In octaves; a quarter off each border is 1."""

MAX_SHIFT: Final = 0.65
"""Of the centre, in sides of the square of equal area."""

MAX_SHIFT_BY_HASH, MAX_ZOOM_BY_HASH = 0.12, 0.35
"""The same limits where only one keypoint matches: pictures whose hashes are close are framed alike."""

MAX_HASH_DISTANCE_ONE_KEYPOINT: Final = 64
"""Bits that differ at most when only one keypoint matches."""

_SLOT_BITS = 6
_ROW_BITS = 64 - BITS - _SLOT_BITS
_KEY_SHIFT = np.uint64(64 - BITS)
_BELOW_KEY = np.uint64((1 << (64 - BITS)) - 1)


def candidates(views: Views, known: int = 0, workers: int = 1) -> Numbers:
    """Give pairs of images, int64 [P, 2], the smaller first, sorted, each once.

    The whole of one image is searched among the wholes and the other views of all. Images of equal fingerprint are
    paired with each other and with all candidates of any of them, except that of such images those beyond the first
    `MAX_IMAGES_PER_KEY` are paired with the first only. Callers that know which images have equal pixels give one of
    them. With `known`, pairs of two of the first `known` images are left out, and the time depends on the number of
    the others.

    Raises:
        ValueError: more views than the index can number (134 million).
    """
    prints = views.whole
    if len(prints) + len(views.others) >= 1 << _ROW_BITS:
        raise ValueError(f"{len(prints)} images: more views than {1 << _ROW_BITS}")
    first, copies = _group_equal(prints, np.flatnonzero(prints["width"]))
    # a group of equal fingerprints is searched like its last image: it may be new where its first is known
    last = first.copy()
    np.maximum.at(last, np.searchsorted(first, copies[:, 0]), copies[:, 1])
    order = np.argsort(last, kind="stable")
    own = int(np.searchsorted(last[order], known))
    rows = mapped.stacked(mapped.take(views, first[order]))
    found = [_by_keypoints(rows, own, workers), by_hash(rows, own)]
    within = np.repeat(np.unique(copies[:, :1]), 2).reshape(-1, 2)
    pairs = _of_members(np.concatenate([first[order][np.concatenate(found)], within]), _members(first, copies))
    pairs = np.sort(np.concatenate([pairs, copies]), axis=1)
    pairs = pairs[(pairs[:, 0] < pairs[:, 1]) & (pairs[:, 1] >= known)]
    packed = np.unique(pairs[:, 0] << 32 | pairs[:, 1])
    return np.stack([packed >> 32, packed & 0xFFFFFFFF], 1)


def equal_fingerprints(prints: Fingerprints) -> Numbers:
    """Give (first, other) for each image whose fingerprint is that of an earlier one, int64 [P, 2]."""
    return _group_equal(prints, np.flatnonzero(prints["width"]))[1]


def _members(first: Numbers, copies: Numbers) -> Numbers:
    """Give (first, member) for the first members of each group of equal fingerprints, sorted by group, [M, 2]."""
    copies = copies[np.lexsort((copies[:, 1], copies[:, 0]))]
    _, starts, counts = np.unique(copies[:, 0], return_index=True, return_counts=True)
    rank = np.arange(len(copies)) - np.repeat(starts, counts)
    members = np.concatenate([np.stack([first, first], 1), copies[rank < MAX_IMAGES_PER_KEY - 1]])
    return members[np.argsort(members[:, 0], kind="stable")]


def _of_members(pairs: Numbers, members: Numbers) -> Numbers:
    """Replace each pair of groups, [P, 2], by the pairs of their members."""
    left = np.searchsorted(members[:, 0], pairs, side="left")
    sizes = np.searchsorted(members[:, 0], pairs, side="right") - left
    combinations = sizes.prod(1)
    pair = np.repeat(np.arange(len(pairs)), combinations)
    step = np.arange(len(pair)) - np.repeat(np.cumsum(combinations) - combinations, combinations)
    return members[left[pair] + np.stack(np.divmod(step, sizes[pair, 1]), 1), 1]


def _group_equal(prints: Fingerprints, usable: Numbers) -> tuple[Numbers, Numbers]:
    """Give the first of each set of equal fingerprints, ascending, and (first, other) for the others."""
    words = prints.view("<u8").reshape(len(prints), FINGERPRINT.itemsize // 8)
    draws = np.random.default_rng(0).integers(1, 1 << 63, words.shape[1], np.uint64) | np.uint64(1)
    digest = np.zeros(len(usable), np.uint64)
    for column, odd in enumerate(draws):
        digest = (digest ^ words[usable, column]) * odd
        digest ^= digest >> np.uint64(29)
    order = np.argsort(digest, kind="stable")
    starts = np.flatnonzero(np.diff(digest[order], prepend=~digest[order[:1]]))
    lengths = np.diff(starts, append=len(order))
    leader = np.empty_like(order)
    leader[order] = np.repeat(order[starts], lengths)
    other = np.flatnonzero(leader != np.arange(len(leader)))
    parts = np.array_split(other, len(other) // 65536 + 1)
    equal = np.concatenate([(words[usable[rows]] == words[usable[leader[rows]]]).all(1) for rows in parts])
    other = other[equal]  # equal digests alone do not make images equal
    alone = np.ones(len(usable), bool)
    alone[other] = False
    return usable[alone], np.stack([usable[leader[other]], usable[other]], 1)


class _Votes(NamedTuple):
    """Pairs of matching keypoints: row of prints and slot of either side, and whether many rows share the key, [V]."""

    row: Numbers
    slot: Numbers
    other: Numbers
    other_slot: Numbers
    crowded: npt.NDArray[np.bool_]

    def take(self, which: npt.NDArray[np.bool_]) -> "_Votes":
        """Give some of the votes."""
        row, slot, other, other_slot, crowded = self
        return _Votes(row[which], slot[which], other[which], other_slot[which], crowded[which])


def _by_keypoints(rows: StackedViews, known: int, workers: int) -> Numbers:
    """Search the views of all images but the first `known` among those of all; of two views one is no middle."""
    image, is_view, is_middle = rows.image, rows.is_view, rows.is_middle
    index = _index(rows.prints)
    # a middle is found by the wholes; of new images it is searched itself, since known wholes are not
    asked = np.flatnonzero((image >= known) & (~is_middle | (known > 0)))

    def search(start: int) -> Numbers:
        votes = _matching_keypoints(rows.prints, asked[start : start + BLOCK], index, image)
        two_views = is_view[votes.row] & is_view[votes.other]
        wanted = ~two_views | ~(is_middle[votes.row] | is_middle[votes.other])
        return image[_agreeing_pairs(rows.prints, votes.take(wanted))]

    with ThreadPoolExecutor(max(1, workers)) as pool:  # NumPy sorts and searches outside Python's lock
        return np.concatenate([np.zeros((0, 2), np.int64), *pool.map(search, range(0, len(asked), BLOCK))])


def _index(prints: Fingerprints) -> npt.NDArray[np.uint64]:
    """Give key, row and slot of all keypoints packed into one word each, sorted."""
    ends = np.cumsum(prints["count"], dtype=np.int64)
    index = mapped.empty(int(ends[-1]) if len(ends) else 0, np.uint64)
    slots = np.arange(KEYPOINTS, dtype=np.uint64)
    for start in range(0, len(prints), BLOCK):
        part = prints[start : start + BLOCK]
        rows = np.arange(start, start + len(part), dtype=np.uint64)[:, None]
        words = part["keys"].astype(np.uint64) << _KEY_SHIFT | rows << np.uint64(_SLOT_BITS) | slots
        begin = int(ends[start - 1]) if start else 0
        index[begin : int(ends[start + len(part) - 1])] = words[slots < part["count"][:, None]]
    index.sort()
    return index


def _matching_keypoints(prints: Fingerprints, rows: Numbers, index: npt.NDArray[np.uint64], image: Numbers) -> _Votes:
    """Find the keypoints in the index whose key is that of a keypoint in a block of rows of other images."""
    part = prints[rows]
    place, slot = np.nonzero(np.arange(KEYPOINTS) < part["count"][:, None])
    probes, asked = _key_variants(part["keys"][place, slot], part["doubts"][place, slot])
    row = rows[place]
    places, count = _lookup(index, probes, row[asked])
    found, asked, crowded = index[places], np.repeat(asked, count), np.repeat(count == MAX_IMAGES_PER_KEY, count)
    other = (found >> np.uint64(_SLOT_BITS) & np.uint64((1 << _ROW_BITS) - 1)).astype(np.int64)
    other_slot = (found & np.uint64((1 << _SLOT_BITS) - 1)).astype(np.int64)
    kept = image[other] != image[row[asked]]
    asked = asked[kept]
    return _Votes(row[asked], slot[asked], other[kept], other_slot[kept], crowded[kept])


def _key_variants(key: npt.NDArray[np.uint32], doubts: Pixels) -> tuple[npt.NDArray[np.uint64], Numbers]:
    """Give each key, also with its unsure bits inverted, sorted; and the place in `key` that each belongs to."""
    first, second = (np.left_shift(np.uint32(1), doubts[:, side].astype(np.uint32) & 31) for side in (0, 1))
    unsure = np.flatnonzero(doubts[:, 1] >> 7)
    probes = np.concatenate([key, key ^ first, key ^ second, key ^ first ^ second, key[unsure] ^ MIRROR_MASK])
    asked = np.concatenate([*[np.arange(len(key))] * 4, unsure])
    order = np.argsort(probes)
    return probes[order].astype(np.uint64), asked[order]


def _lookup(
    index: npt.NDArray[np.uint64], probes: npt.NDArray[np.uint64], row: Numbers
) -> tuple[Numbers, npt.NDArray[np.intp]]:
    """Give the places in the index with the key of each probe, at most `MAX_IMAGES_PER_KEY`, and their counts."""
    lowest = probes << _KEY_SHIFT
    left = np.searchsorted(index, lowest)
    count = np.searchsorted(index, lowest | _BELOW_KEY, side="right") - left
    # of a key in too many rows, take a part that differs from row to row
    offset = row * 2_654_435_761 % np.maximum(1, count - MAX_IMAGES_PER_KEY + 1)
    left = np.where(count > MAX_IMAGES_PER_KEY, left + offset, left)
    count = np.minimum(count, MAX_IMAGES_PER_KEY)
    ends = np.cumsum(count)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(left - ends + count, count), count


def _agreeing_pairs(prints: Fingerprints, votes: _Votes) -> Numbers:
    """Give the pairs of rows for which two votes imply the same map of one on the other; `FEW_VOTES` if all crowded.

    A key that many images share says little: films of strangers have such keys in the same places.
    """
    votes, maps = _plausible_votes(prints, votes)
    order = np.lexsort((votes.other_slot, votes.slot, maps.x, maps.pair))
    agree = np.zeros(len(order), bool)
    for step in (1, 2):
        one, two = order[:-step], order[step:]
        near = maps.pair[one] == maps.pair[two]
        one, two = one[near], two[near]
        near = (votes.slot[one] != votes.slot[two]) & (votes.other_slot[one] != votes.other_slot[two])
        for values, most in ((maps.x, 0.1), (maps.y, 0.1), (maps.zoom, 0.4)):
            near &= np.abs(values[one] - values[two]) < most
        near &= np.abs((maps.turn[one] - maps.turn[two]).view(np.int8)) < 12
        agree[one[near]] = agree[two[near]] = True
    differ = np.bitwise_count(prints["hash"][votes.row] ^ prints["hash"][votes.other]).sum(1)
    in_place = np.maximum(np.abs(maps.x), np.abs(maps.y)) <= MAX_SHIFT_BY_HASH
    in_place &= np.abs(maps.zoom) <= MAX_ZOOM_BY_HASH
    agree |= in_place & (differ <= MAX_HASH_DISTANCE_ONE_KEYPOINT)
    packed, place, count = np.unique(
        votes.row[agree] << 32 | votes.other[agree], return_inverse=True, return_counts=True
    )
    told = np.zeros(len(packed), bool)
    told[place[~votes.crowded[agree]]] = True
    packed = packed[told | (count >= FEW_VOTES)]
    return np.stack([packed >> 32, packed & 0xFFFFFFFF], 1)


class _ImpliedMaps(NamedTuple):
    """The map of one image on the other that each vote implies, [V].

    `pair` is equal for votes for the same two rows, mirrored alike and turned by the same quarter; `x` and `y` say
    where the centre goes, in sides from the other centre; `zoom` is in octaves, `turn` in 256ths, uint8.
    """

    pair: Numbers
    x: Floats
    y: Floats
    zoom: Floats
    turn: npt.NDArray[np.uint8]


def _plausible_votes(prints: Fingerprints, votes: _Votes) -> tuple[_Votes, _ImpliedMaps]:
    """Keep the votes that imply a plausible turn, zoom and shift."""
    mine, yours = votes.row, votes.other
    angles = prints["places"][mine, votes.slot, 3], prints["places"][yours, votes.other_slot, 3]
    flipped = (prints["doubts"][mine, votes.slot, 0] ^ prints["doubts"][yours, votes.other_slot, 0]) >> 7 == 1
    turn = np.where(flipped, angles[1] + angles[0], angles[1] - angles[0])  # uint8 goes round by itself
    turned = np.abs((turn.astype(np.int16) + 32) % 64 - 32) <= MAX_TURN * 256 / 360
    votes = votes.take(turned)
    mine, yours, flipped, turn = mine[turned], yours[turned], flipped[turned], turn[turned]
    one, two = _centred_places(prints, mine, votes.slot), _centred_places(prints, yours, votes.other_slot)
    zoom = two[2] - one[2]
    radians = turn * np.float32(np.pi / 128)
    cosine, sine = np.cos(radians) * np.exp2(zoom), np.sin(radians) * np.exp2(zoom)
    back_y = np.where(flipped, one[1], -one[1])
    x, y = two[0] - cosine * one[0] - sine * back_y, two[1] - sine * one[0] + cosine * back_y
    quarter = (turn.astype(np.int64) + 32) // 64 % 4 + 4 * flipped
    # the rows of a block are few and near each other, but for the views that follow the wholes
    _, block_row = np.unique(votes.row, return_inverse=True)
    maps = _ImpliedMaps(block_row << 40 | votes.other << 3 | quarter, x, y, zoom, turn)
    inside = (np.abs(zoom) <= MAX_ZOOM) & (np.abs(x) <= MAX_SHIFT) & (np.abs(y) <= MAX_SHIFT)
    return votes.take(inside), _ImpliedMaps(*(values[inside] for values in maps))


def _centred_places(prints: Fingerprints, row: Numbers, slot: Numbers) -> tuple[Floats, Floats, Floats]:
    """Give x and y from the centre, in sides, and scale in octaves."""
    places = prints["places"][row, slot].astype(np.float32)
    width, height = prints["width"][row].astype(np.float32), prints["height"][row].astype(np.float32)
    side = np.sqrt(width * height)
    x, y = (places[:, 0] / 256 - 0.5) * width / side, (places[:, 1] / 256 - 0.5) * height / side
    return x, y, places[:, 2] / 32
