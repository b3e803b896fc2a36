"""Xet as hf_xet 1.8 speaks it: the token of the Hub, grants for xorbs, their upload, and shards, which make files.

A xorb is a row of chunks; a shard says of which chunks each file consists. The content of every file is put together
from them and its digest compared with the one that the client states. Chunks must not be compressed:
HF_XET_XORB_COMPRESSION_POLICY=none. Nothing else of a xorb or a shard is verified, and nothing is downloaded from here.
"""

import hashlib
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .server import Answer, Call

if TYPE_CHECKING:
    from .hub import Hub

ENTRY = 48
"""Bytes of each entry of a shard; the first one is the header."""

VERIFIED, WITH_SHA256 = 1 << 31, 1 << 30
"""Flags of a file in a shard: the entries that follow its terms."""

PUT = re.compile(r"/xet/(?:v1/xorbs/default|store)/([0-9a-f]{64})")


class Xet:
    """What was uploaded: `xorbs` by digest, and `digests` of whole files by their SHA-256."""

    def __init__(self, hub: "Hub") -> None:
        self.hub = hub
        self.xorbs: dict[str, bytes] = {}
        self.digests: dict[str, str] = {}

    def token(self, token: str, dataset: str, revision: str) -> Answer:
        """Answer the Hub's own route, which opens Xet for one dataset."""
        from .hub import as_json, error

        repository = self.hub.repositories.get(dataset)
        if not token:
            return error(401, "", "Invalid username or password.")
        if repository is None or repository.resolved(revision) is None:
            return error(404, "RepoNotFound", "Repository not found")
        if self.hub.tokens[token][1] != "write":
            return error(403, "", "you must use a write token to write to a repository")
        expires = int(time.time()) + 3600
        return as_json({"accessToken": f"xet-{dataset}", "exp": expires, "casUrl": f"{self.hub.storage}/xet"})

    def answer(self, call: Call) -> Answer:
        from .hub import as_json

        if match := PUT.fullmatch(call.path):
            self.xorbs[match[1]] = call.body
            return as_json({"was_inserted": True})
        dataset = call.token.removeprefix("xet-")
        if dataset not in self.hub.repositories:
            return Answer(401)
        if match := re.fullmatch(r"/xet/v1/xorb-grants/default/([0-9a-f]{64})", call.path):
            if match[1] in self.xorbs:
                return as_json({"was_inserted": False})
            place = f"{self.hub.storage}/xet/store/{match[1]}?signature=secret"
            return as_json({"id": "grant1", "method": "PUT", "url": place, "headers": {}}, 201)
        if "/xorb-commits/" in call.path:
            return as_json({"was_inserted": True})
        if call.path == "/xet/v2/shards":
            return self._register(dataset, call.body)
        return as_json({}) if call.path == "/xet/v1/telemetry" else Answer(404)

    def _register(self, dataset: str, shard: bytes) -> Answer:
        """Put the files of a shard together; they are then ready for a commit to the dataset."""
        for digest, stated, content in self._files(shard):
            if hashlib.sha256(content).hexdigest() != stated:
                return Answer(400, b"the content has another digest")
            self.hub.store.put(content)
            self.hub.repositories[dataset].lfs.add(stated)
            self.digests[stated] = digest
        return Answer(200, b'{"type":"result","result":1}\n')

    def _files(self, shard: bytes) -> Iterator[tuple[str, str, bytes]]:
        """Give Xet's digest, the SHA-256 that the client states, and the content of each file in a shard."""
        place = ENTRY
        while shard[place : place + 32] != b"\xff" * 32:
            flags, count = (int.from_bytes(shard[place + at : place + at + 4], "little") for at in (32, 36))
            digest = _hexadecimal(shard[place:])
            terms = [shard[place + ENTRY * number :][:ENTRY] for number in range(1, count + 1)]
            place += ENTRY * (1 + count + (count if flags & VERIFIED else 0))
            assert flags & WITH_SHA256
            yield digest, _hexadecimal(shard[place:]), b"".join(map(self._chunks, terms))
            place += ENTRY

    def _chunks(self, term: bytes) -> bytes:
        """Give the chunks of a xorb that a term names."""
        first, last = (int.from_bytes(term[at : at + 4], "little") for at in (40, 44))
        return b"".join(_split(self.xorbs[_hexadecimal(term)])[first:last])


def _split(xorb: bytes) -> list[bytes]:
    chunks, place = [], 0
    while place < len(xorb):
        size, is_compressed = int.from_bytes(xorb[place + 1 : place + 4], "little"), xorb[place + 4]
        assert not is_compressed
        chunks.append(xorb[place + 8 : place + 8 + size])
        place += 8 + size
    return chunks


def _hexadecimal(data: bytes) -> str:
    """Give the text of a digest, which Xet stores as four little-endian numbers."""
    return "".join(f"{int.from_bytes(data[at : at + 8], 'little'):016x}" for at in range(0, 32, 8))
