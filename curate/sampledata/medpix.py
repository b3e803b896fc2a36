"""The teaching files behind VQA-RAD and VQA-Med 2019, which share some of their images."""

from .plates import Plate, facts, plate
from .scenes import Scene

_KINDS = ("film", "ct", "mr")

RAD_TRAIN = tuple(range(9000001, 9000029))
RAD_BOTH = (9000029, 9000030, 9000031)
"""In the train and in the test split of VQA-RAD, as most of upstream's test images are."""
RAD_TEST = tuple(range(9000032, 9000040))

MED_TRAIN = tuple(range(9000101, 9000118))
MED_BROKEN = 9000118
"""In train; an error page was saved in its place."""
MED_VALIDATION = tuple(range(9000121, 9000126))
MED_TEST = tuple(range(9000131, 9000150))

IN_BOTH_TRAINS = (9000001, 9000002)
RAD_TRAIN_IN_MED_TEST = 9000003
RAD_TEST_IN_MED_TRAIN = 9000032


def name(number: int) -> str:
    """Give the image's name without suffix."""
    return f"synpic{number}"


def picture(seed: int, number: int) -> Plate:
    """Draw an image of the collection: a chest film, a CT or an MR image."""
    return plate(seed, "medpix", name(number), _KINDS)


def shown(seed: int, number: int) -> Scene:
    """Give what the image shows, without drawing it."""
    return facts(seed, "medpix", name(number), _KINDS)
