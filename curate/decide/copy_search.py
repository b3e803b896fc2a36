"""Search for related images among numbered ones: fingerprints propose pairs, pixels confirm them.

Equal pixels make one image: of a set of images with equal pixels only the leader is compared with others, and what is
confirmed of the leader holds for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from ..copies import mapped
from ..copies.clusters import components
from ..copies.fingerprints import Views
from ..copies.neighbours import candidates, equal_fingerprints
from ..mixture import CopyRule
from .comparisons import CANDIDATE_PAIRS, COPIES, KIND, ComparisonTask, Image, SketchedImage, confirm_related, tasks_of
from .copy_rule import counts
from .scan_images import ScanImages

ALIKE_HASH = 16
"""Hash bits in which decodings of one image may differ."""

EQUAL = pl.Schema({"image": pl.UInt32(), "leader": pl.UInt32()})
ALTERED = pl.Schema({name: kind for name, kind in COPIES.items() if name != "exact"})

Round: TypeAlias = Literal["equal", "compare"]
"""A round of the search: `equal` compares images with equal fingerprints, `compare` all candidates among leaders."""

ROUNDS: tuple[Round, ...] = get_args(Round)
"""The rounds in their order: what a round compares depends on what those before it found."""

Numbers: TypeAlias = npt.NDArray[np.int64]


class Copies(NamedTuple):
    """The copies and other related images among numbered images.

    Attributes:
        equal: `EQUAL`: each image that has the pixels of an image with a lower number, and the lowest of these, its
            leader.
        altered: `ALTERED`: leaders of images that are related and have other pixels, each pair once, by `kind`;
            `other` was made of `image`.
        compared: the number of pairs whose pixels were compared.
    """

    equal: pl.DataFrame
    altered: pl.DataFrame
    compared: int

    def leader(self, image: pl.Expr) -> pl.Expr:
        """Give the leaders of images; an image leads itself unless an image before it has its pixels."""
        return image.replace(self.equal["image"], self.equal["leader"])

    def under(self, rule: CopyRule) -> "Copies":
        """Give these copies with only those related images that count under a rule."""
        return self._replace(altered=self.altered.filter(counts(rule)))

    def count_pairs(self, images: pl.Series) -> dict[str, int]:
        """Count the related pairs of images of records, lists of numbers, by kind; `exact` are those with leaders."""
        inside = pl.col("image", "other").is_in(images.explode().unique().implode())
        equal, altered = self.equal.rename({"leader": "other"}), self.altered
        kinds = altered.filter(pl.all_horizontal(inside))["kind"]
        named = {kind: int((kinds == kind).sum()) for kind in KIND.categories if kind != "unrelated"}
        return {"exact": equal.filter(pl.all_horizontal(inside)).height, **named}


NO_COPIES = Copies(pl.DataFrame(schema=EQUAL), pl.DataFrame(schema=ALTERED), 0)


@dataclass(frozen=True)
class CopySearch:
    """A search for copies among the images of scans and external images, whose numbers follow those of the scans.

    Attributes:
        images, external: the images.
        max_pixels, folder, workers, shared: as in `confirm_related`.
    """

    images: ScanImages
    external: Sequence[SketchedImage]
    max_pixels: int
    folder: Path
    workers: int
    shared: bool = False

    def everywhere(self) -> Copies:
        """Find the copies among the images of scans, and among these the copies of external images."""
        copies = self.equal_by_digest()
        for name in ROUNDS:
            copies = self.add(copies, self.propose(name, copies))
        return copies

    def propose(self, name: Round, copies: Copies) -> Numbers:
        """Give the pairs of images that a round compares, int64 [P, 2], from the copies that are known before it."""
        count = self.images.count
        external = pl.Series(range(count, count + len(self.external)), dtype=pl.UInt32)
        scanned = pl.Series(range(count), dtype=pl.UInt32)
        new = _numbers(_leaders_of(scanned, copies))
        known = np.setdiff1d(_numbers(_leaders_of(external, copies)), new)
        numbers = np.concatenate([known, new])
        views = mapped.take(self._all_views, numbers)
        found = equal_fingerprints(views.whole) if name == "equal" else self._candidates(views, len(known))
        pairs = np.sort(numbers[found], axis=1)
        return pairs[pairs[:, 0] < count]

    def tasks(self, pairs: Numbers) -> list[ComparisonTask]:
        """Give the tasks that compare the pixels of pairs; they depend on no verdict that is known."""
        return tasks_of(*self._with_images(pairs), self.max_pixels, self.folder)

    def between(self, copies: Copies, ones: pl.Series, others: pl.Series) -> Copies:
        """Add to known copies those with one image in `ones`, of the scans, and the other in `others`.

        What is found depends on these images alone, and not on other images of the scans.
        """
        one, other = _numbers(ones), _numbers(others)
        known = np.setdiff1d(one, other)
        numbers = np.concatenate([known, other])
        pairs = np.sort(numbers[self._candidates(mapped.take(self._all_views, numbers), len(known))], axis=1)
        in_one, in_other = np.isin(pairs, one), np.isin(pairs, other)
        return self.add(copies, pairs[(in_one & in_other[:, ::-1]).any(1)])

    def _candidates(self, views: Views, known: int) -> Numbers:
        return candidates(views, known, self.workers)

    @cached_property
    def _all_views(self) -> Views:
        return mapped.followed_by(self.images.views, Views.of([image.prints for image in self.external]))

    def add(self, copies: Copies, pairs: Numbers) -> Copies:
        """Compare the pixels of pairs of images, int64 [P, 2], and add those that are related."""
        to_compare, by_number = self._with_images(pairs)
        confirmed = confirm_related(
            to_compare, by_number, self.max_pixels, self.folder, self.workers, shared=self.shared
        )
        return _merge(copies, confirmed)._replace(compared=copies.compared + len(pairs))

    def _with_images(self, pairs: Numbers) -> tuple[pl.DataFrame, dict[int, Image]]:
        """Give pairs as `CANDIDATE_PAIRS`, and their images by number."""
        hashes = self._all_views.whole["hash"]
        alike = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]).sum(1) <= ALIKE_HASH
        to_compare = pl.DataFrame({"image": pairs[:, 0], "other": pairs[:, 1], "alike": alike}, CANDIDATE_PAIRS)
        count = self.images.count
        by_number: dict[int, Image] = dict(self.images.locations(np.unique(pairs[pairs < count]).tolist()))
        outside = {number: self.external[number - count] for number in np.unique(pairs[pairs >= count]).tolist()}
        by_number |= {number: image.location or image for number, image in outside.items()}
        return to_compare, by_number

    def equal_by_digest(self) -> Copies:
        """Give the images whose digests are those of an external image, whatever their fingerprints."""
        if not self.external:
            return NO_COPIES
        numbers = range(self.images.count, self.images.count + len(self.external))
        digests = [sorted({image.sha256, image.pixel_sha256}) for image in self.external]
        schema = {"image": pl.UInt32(), "key": pl.List(pl.String)}
        external = pl.DataFrame({"image": list(numbers), "key": digests}, schema).explode("key")
        scanned = self.images.with_keys(external["key"].unique())
        keys = pl.concat([scanned, external]).with_columns(other=pl.col("image").min().over("key"))
        return NO_COPIES._replace(equal=_equal(keys))


def _numbers(images: pl.Series) -> Numbers:
    """Give each number once, sorted."""
    return images.unique().sort().to_numpy().astype(np.int64)


def _leaders_of(images: pl.Series, copies: Copies) -> pl.Series:
    return images.to_frame("image").select(copies.leader(pl.col("image")))["image"]


def _equal(pairs: pl.DataFrame) -> pl.DataFrame:
    """Give `EQUAL` of pairs with equal pixels, `image` and `other`; equality is transitive."""
    return pl.DataFrame(components(pairs.select("image", "other").to_numpy().astype(np.int64)), EQUAL)


def _merge(copies: Copies, found: pl.DataFrame) -> Copies:
    """Add confirmed pairs, as `COPIES`; of several pairs of the same leaders the closest, most similar one stays."""
    known = copies.equal.select("image", other="leader")
    exact = found.filter("exact").select("image", "other")
    grown = copies._replace(equal=_equal(pl.concat([known, exact])))
    pairs = pl.concat([copies.altered, found.filter(~pl.col("exact")).select(list(ALTERED))])
    led = pairs.with_columns(image=grown.leader(pl.col("image")), other=grown.leader(pl.col("other")))
    altered = (
        led.filter(pl.col("image") != pl.col("other"))
        .sort("kind", "similarity", "image", "other", descending=[False, True, False, False])
        .with_columns(low=pl.min_horizontal("image", "other"), high=pl.max_horizontal("image", "other"))
        .unique(["low", "high"], keep="first", maintain_order=True)
    )
    return grown._replace(altered=altered.select(list(ALTERED)).sort("image", "other"))
