"""The articles behind ROCO, PMC-OA and PMC-VQA: figures with captions, each article under one licence."""

from dataclasses import dataclass

from .phrases import caption
from .pictures import Pixels
from .plates import drawn, facts
from .scenes import RADIOLOGY, Scene
from .seeds import stream

_CODES = (
    "CC BY",
    "CC BY-NC-SA",
    "CC BY",
    "NO-CC CODE",
    "CC BY",
    "CC BY-NC",
    "CC BY",
    "CC BY-NC-ND",
    "CC0",
    "CC BY",
    "CC BY-SA",
    "CC BY-ND",
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of an article.

    Attributes:
        article: from 1; the PMC id is made of it.
        number: of the figure in its article, from 1.
        kinds: what it may show, see `Scene.kind`.
    """

    article: int
    number: int
    kinds: tuple[str, ...] = RADIOLOGY

    @property
    def pmcid(self) -> str:
        """Give an id in PMC's form, far above those in use."""
        return f"PMC{99000000 + self.article}"

    @property
    def file(self) -> str:
        """Give the figure's file name in the article's package; every ninth article has a comma in it."""
        return (
            f"sample,{self.article}-g{self.number:03d}.jpg" if self.article % 9 == 0 else f"sample-g{self.number}.jpg"
        )

    @property
    def licence(self) -> str:
        """Give the article's licence code as ROCO writes it."""
        return _CODES[self.article % len(_CODES)]

    def scene(self, seed: int) -> Scene:
        """Give what the figure shows."""
        return facts(seed, "pmc", self._name, self.kinds)

    def pixels(self, seed: int) -> Pixels:
        """Draw the figure."""
        return drawn(seed, "pmc", self._name, self.scene(seed))

    def caption(self, seed: int) -> str:
        """Give the caption of the figure."""
        return caption(self.scene(seed), stream(seed, "pmc", self._name, "caption"))

    @property
    def _name(self) -> str:
        return f"{self.pmcid}/{self.number}"
