"""A Hub on this machine, which the real clients talk to over loopback, with faults on request.

    hub.add("someone/pictures", {"data/train.parquet": b"..."})   -> commit
    hub.fail("resolve/.*train", "drop", times=1)
    hub.answered("resolve/.*train")                               -> its log

Routes and headers as huggingface_hub and datasets ask for them. The content of every file lies on disk.
"""

from .hub import Hub
from .server import Answer, Request, Server

__all__ = ["Answer", "Hub", "Request", "Server"]
