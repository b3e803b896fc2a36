"""Search over fingerprints: find pairs of images that may be copies; pixel alignment confirms or rejects them.

Two images are candidates when at least two of their keypoints match and imply the same turn, zoom and shift, or
when their hashes are close. Work and memory are bounded for any data: of a key that many images share only
`MAX_IMAGES_PER_KEY` are compared, and images of equal fingerprint are searched as one and paired as many.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from .fingerprints import (
    BITS,
    FEW_KEYPOINTS,
    FINGERPRINT,
    KEYPOINTS,
    MIRROR_MASK,
    ORIENTATIONS,
    Fingerprints,
    transform_hash,
)
from .grey import Floats, Pixels

Numbers: TypeAlias = npt.NDArray[np.int64]

BLOCK: Final = 4096
MAX_IMAGES_PER_KEY: Final = 48
"""Images that are compared for one key; a key of more images is not distinctive."""

MAX_TURN: Final = 20.0
MAX_ZOOM: Final = 1.35
"""In octaves; a quarter off each border is 1."""

MAX_SHIFT: Final = 0.65
"""Of the centre, in sides of the square of equal area."""

MAX_HASH_DISTANCE: Final = 40
"""Bits of 256 that differ at most."""

MAX_HASH_DISTANCE_ONE_KEYPOINT: Final = 64
"""Bits that differ at most when only one keypoint matches."""

NEGATIVE: Final = np.frombuffer(bytes([127] + [255] * 31), "<u8")
"""The bits of a hash that change in the negative of a picture: all but the first, which is always 0."""

NEAR_RANK: Final = 6
_SLOT_BITS = 7
_IMAGE_BITS = 64 - BITS - _SLOT_BITS
_KEY_SHIFT = np.uint64(64 - BITS)
_BELOW_KEY = np.uint64((1 << (64 - BITS)) - 1)


def candidates(prints: Fingerprints, known: int = 0, workers: int = 1) -> Numbers:
    """Give pairs of places in `prints`, int64 [P, 2], the smaller first, sorted, each once.

    Images of equal fingerprint are paired with each other and with all candidates of any of them, except that of such
    images those beyond the first `MAX_IMAGES_PER_KEY` are paired with the first only. Callers that know which images
    have equal pixels give one of them. With `known`, pairs of two of the first `known` images are left out, and the
    time depends on the number of the others.

    Raises:
        ValueError: more images than the index can number (134 million).
    """
    if len(prints) >= 1 << _IMAGE_BITS:
        raise ValueError(f"{len(prints)} images: more than {1 << _IMAGE_BITS}")
    first, copies = _group_equal(prints, np.flatnonzero(prints["width"]))
    # a group of equal fingerprints is searched like its last image: it may be new where its first is known
    last = first.copy()
    np.maximum.at(last, np.searchsorted(first, copies[:, 0]), copies[:, 1])
    order = np.argsort(last, kind="stable")
    own = int(np.searchsorted(last[order], known))
    found = [_by_keypoints(prints, first[order], own, workers), _by_hash(prints, first[order], own)]
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
    """Pairs of matching keypoints: image and slot of either side, [V]."""

    image: Numbers
    slot: Numbers
    other: Numbers
    other_slot: Numbers


def _by_keypoints(prints: Fingerprints, first: Numbers, known: int, workers: int) -> Numbers:
    index = _index(prints, first)
    starts = range(known, len(first), BLOCK)

    def search(start: int) -> Numbers:
        part = prints[first[start : start + BLOCK]]
        return _agreeing_pairs(prints, first, _matching_keypoints(part, start, index))

    with ThreadPoolExecutor(max(1, workers)) as pool:  # NumPy sorts and searches outside Python's lock
        return np.concatenate([np.zeros((0, 2), np.int64), *pool.map(search, starts)])


def _index(prints: Fingerprints, first: Numbers) -> npt.NDArray[np.uint64]:
    """Give key, image and slot of all keypoints packed into one word each, sorted."""
    ends = np.cumsum(prints["count"][first], dtype=np.int64)
    index = np.empty(int(ends[-1]) if len(ends) else 0, np.uint64)
    slots = np.arange(KEYPOINTS, dtype=np.uint64)
    for start in range(0, len(first), BLOCK):
        part = prints[first[start : start + BLOCK]]
        images = np.arange(start, start + len(part), dtype=np.uint64)[:, None]
        words = part["keys"].astype(np.uint64) << _KEY_SHIFT | images << np.uint64(_SLOT_BITS) | slots
        begin = int(ends[start - 1]) if start else 0
        index[begin : int(ends[start + len(part) - 1])] = words[slots < part["count"][:, None]]
    index.sort()
    return index


def _matching_keypoints(part: Fingerprints, start: int, index: npt.NDArray[np.uint64]) -> _Votes:
    """Find the keypoints in the index whose key is that of a keypoint in a block of images."""
    image, slot = np.nonzero(np.arange(KEYPOINTS) < part["count"][:, None])
    probes, asked = _key_variants(part["keys"][image, slot], part["doubts"][image, slot])
    image += start
    places, count = _lookup(index, probes, image[asked])
    found, asked = index[places], np.repeat(asked, count)
    other = (found >> np.uint64(_SLOT_BITS) & np.uint64((1 << _IMAGE_BITS) - 1)).astype(np.int64)
    other_slot = (found & np.uint64((1 << _SLOT_BITS) - 1)).astype(np.int64)
    kept = other != image[asked]
    asked = asked[kept]
    return _Votes(image[asked], slot[asked], other[kept], other_slot[kept])


def _key_variants(key: npt.NDArray[np.uint32], doubts: Pixels) -> tuple[npt.NDArray[np.uint64], Numbers]:
    """Give each key, also with its unsure bits inverted, sorted; and the place in `key` that each belongs to."""
    first, second = (np.left_shift(np.uint32(1), doubts[:, side].astype(np.uint32) & 31) for side in (0, 1))
    unsure = np.flatnonzero(doubts[:, 1] >> 7)
    probes = np.concatenate([key, key ^ first, key ^ second, key ^ first ^ second, key[unsure] ^ MIRROR_MASK])
    asked = np.concatenate([*[np.arange(len(key))] * 4, unsure])
    order = np.argsort(probes)
    return probes[order].astype(np.uint64), asked[order]


def _lookup(
    index: npt.NDArray[np.uint64], probes: npt.NDArray[np.uint64], image: Numbers
) -> tuple[Numbers, npt.NDArray[np.intp]]:
    """Give the places in the index with the key of each probe, at most `MAX_IMAGES_PER_KEY`, and their counts."""
    lowest = probes << _KEY_SHIFT
    left = np.searchsorted(index, lowest)
    count = np.searchsorted(index, lowest | _BELOW_KEY, side="right") - left
    # of a key in too many images, take a part that differs from image to image
    offset = image * 2_654_435_761 % np.maximum(1, count - MAX_IMAGES_PER_KEY + 1)
    left = np.where(count > MAX_IMAGES_PER_KEY, left + offset, left)
    count = np.minimum(count, MAX_IMAGES_PER_KEY)
    ends = np.cumsum(count)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(left - ends + count, count), count


def _agreeing_pairs(prints: Fingerprints, first: Numbers, votes: _Votes) -> Numbers:
    """Give the pairs for which two votes imply the same map of one image on the other."""
    votes, maps = _plausible_votes(prints, first, votes)
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
        agree[one[near]] = True
    image, other = first[votes.image], first[votes.other]
    agree |= np.bitwise_count(prints["hash"][image] ^ prints["hash"][other]).sum(1) <= MAX_HASH_DISTANCE_ONE_KEYPOINT
    packed = np.unique(votes.image[agree] << 32 | votes.other[agree])
    return np.stack([packed >> 32, packed & 0xFFFFFFFF], 1)


class _ImpliedMaps(NamedTuple):
    """The map of one image on the other that each vote implies, [V].

    `pair` is equal for votes for the same two images, mirrored alike and turned by the same quarter; `x` and `y` say
    where the centre goes, in sides from the other centre; `zoom` is in octaves, `turn` in 256ths, uint8.
    """

    pair: Numbers
    x: Floats
    y: Floats
    zoom: Floats
    turn: npt.NDArray[np.uint8]


def _plausible_votes(prints: Fingerprints, first: Numbers, votes: _Votes) -> tuple[_Votes, _ImpliedMaps]:
    """Keep the votes that imply a plausible turn, zoom and shift."""
    mine, yours = first[votes.image], first[votes.other]
    angles = prints["places"][mine, votes.slot, 3], prints["places"][yours, votes.other_slot, 3]
    flipped = (prints["doubts"][mine, votes.slot, 0] ^ prints["doubts"][yours, votes.other_slot, 0]) >> 7 == 1
    turn = np.where(flipped, angles[1] + angles[0], angles[1] - angles[0])  # uint8 goes round by itself
    turned = np.abs((turn.astype(np.int16) + 32) % 64 - 32) <= MAX_TURN * 256 / 360
    votes = _Votes(*(values[turned] for values in votes))
    mine, yours, flipped, turn = mine[turned], yours[turned], flipped[turned], turn[turned]
    one, two = _centred_places(prints, mine, votes.slot), _centred_places(prints, yours, votes.other_slot)
    zoom = two[2] - one[2]
    radians = turn * np.float32(np.pi / 128)
    cosine, sine = np.cos(radians) * np.exp2(zoom), np.sin(radians) * np.exp2(zoom)
    back_y = np.where(flipped, one[1], -one[1])
    x, y = two[0] - cosine * one[0] - sine * back_y, two[1] - sine * one[0] + cosine * back_y
    quarter = (turn.astype(np.int64) + 32) // 64 % 4 + 4 * flipped
    start = votes.image.min() if len(votes.image) else 0
    maps = _ImpliedMaps((votes.image - start) << 40 | votes.other << 3 | quarter, x, y, zoom, turn)
    inside = (np.abs(zoom) <= MAX_ZOOM) & (np.abs(x) <= MAX_SHIFT) & (np.abs(y) <= MAX_SHIFT)
    return _Votes(*(values[inside] for values in votes)), _ImpliedMaps(*(values[inside] for values in maps))


def _centred_places(prints: Fingerprints, image: Numbers, slot: Numbers) -> tuple[Floats, Floats, Floats]:
    """Give x and y from the centre, in sides, and scale in octaves."""
    places = prints["places"][image, slot].astype(np.float32)
    width, height = prints["width"][image].astype(np.float32), prints["height"][image].astype(np.float32)
    side = np.sqrt(width * height)
    x, y = (places[:, 0] / 256 - 0.5) * width / side, (places[:, 1] / 256 - 0.5) * height / side
    return x, y, places[:, 2] / 32


def _by_hash(prints: Fingerprints, first: Numbers, known: int) -> Numbers:
    """Compare hashes with a common prefix at one of eight places; images with few keypoints in all orientations."""
    few = np.flatnonzero(prints["count"][first] < FEW_KEYPOINTS)
    hashes = prints["hash"][first]
    turned = [transform_hash(hashes[few], *orientation) for orientation in ORIENTATIONS[1:]]
    rows = np.concatenate([hashes, *turned])
    image = np.concatenate([np.arange(len(first)), *[few] * len(turned)])
    rows, image = np.concatenate([rows, rows ^ NEGATIVE]), np.concatenate([image, image])
    found = [np.zeros((0, 2), np.int64)]
    for start in range(0, 256, 32):
        word = start // 64
        key = (
            rows[:, word]
            if start % 64 == 0
            else rows[:, word] << np.uint64(32) | rows[:, (word + 1) % 4] >> np.uint64(32)
        )
        order = np.argsort(key, kind="stable")
        for step in range(1, NEAR_RANK + 1):
            found += [_close_hashes(rows, image, order[:-step], order[step:], known)]
    return np.concatenate(found)


def _close_hashes(rows: npt.NDArray[np.uint64], image: Numbers, one: Numbers, two: Numbers, known: int) -> Numbers:
    found = []
    for start in range(0, len(one), 1 << 18):
        left, right = one[start : start + (1 << 18)], two[start : start + (1 << 18)]
        differ = np.bitwise_count(rows[left] ^ rows[right]).sum(1)
        close = (differ <= MAX_HASH_DISTANCE) & (image[left] != image[right])
        close &= np.maximum(image[left], image[right]) >= known
        found.append(np.stack([image[left[close]], image[right[close]]], 1))
    return np.concatenate(found) if found else np.zeros((0, 2), np.int64)
