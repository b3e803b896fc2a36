"""medmix: build, publish and train on mixes of open medical vision-language datasets."""

from pathlib import Path

__version__ = "0.1.0"

_root = Path(__file__).resolve().parent.parent
if (_root / "setup.cfg").is_file():  # a checkout: the sub-packages stand beside this folder
    __path__.append(str(_root))
