"""Connections to one server over HTTP: nothing but what the user said is sent, and no answer fills the memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput
from potstill.teachers.openai.address import Address

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 20.0
"""How long opening a connection may take."""
LARGEST = 256 * 2**20
"""Most bytes of an answer, once it is unpacked: a million tokens with twenty log-probabilities each."""
ENCODINGS = ("", "identity", "gzip", "x-gzip", "deflate")
"""How an answer may be packed: what unpacks a little at a time, and by no more than a thousand times."""
REDIRECTS = 5
"""Most redirects of one request."""
JSON = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate"}
"""Headers of every request."""


class TooLarge(Exception):
    """An answer that is larger than any can be."""


@dataclass(frozen=True)
class Reply:
    """What a server sent back."""

    status: int
    """The HTTP status."""
    headers: Mapping[str, str]
    """Its headers."""
    text: str
    """Its body."""


@dataclass
class Connection:
    """Connections to one server."""

    address: Address
    """Where it is."""
    headers: Mapping[str, str] = field(repr=False)
    """What is said to it with every request: the key, and what the user adds."""
    http: httpx2.AsyncClient = field(repr=False)
    """The client."""
    trusted_hosts: tuple[str, ...] = ()
    """Hosts to which a redirect is followed; they get the prompt, and no header of `headers`."""

    async def post(self, path: str, body: Mapping[str, Any]) -> Reply:
        """Send `body` as JSON.

        Raises:
            TooLarge: the answer has more than `LARGEST` bytes.
            BadInput: the server redirects to where nothing may be sent.
        """
        return await self._request("POST", path, json.dumps(body).encode())

    async def get(self, path: str) -> Reply:
        """Ask for what is at `path`."""
        return await self._request("GET", path, b"")

    async def close(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def _request(self, method: str, path: str, content: bytes) -> Reply:
        """Send, following the redirects that may be followed."""
        import httpx2

        url, headers = self.address.url(path), {**JSON, **self.headers}
        for _ in range(REDIRECTS + 1):
            own = {**headers, "Content-Type": "application/json"} if content else headers
            async with self.http.stream(method, url, content=content, headers=own) as reply:
                target = reply.headers.get("location") if 300 <= reply.status_code < 400 else None
                if target is None:
                    return Reply(reply.status_code, reply.headers, await self._text(reply))
                try:
                    new = str(reply.url.join(target))
                    headers = self._allowed(reply.status_code, Address(new), headers)
                except (ValueError, httpx2.InvalidURL) as error:
                    raise BadInput(f"{self.address.name} redirects to {target!r:.80}, which is no address") from error
                url = new
        raise BadInput(f"{self.address.name} redirects in a circle: correct base_url")

    def _allowed(self, status: int, target: Address, headers: dict[str, str]) -> dict[str, str]:
        """Return the headers with which a redirect is followed.

        Raises:
            BadInput: it may not be followed.
        """
        plain = f"{target.parts.scheme}://{target.parts.netloc.rpartition('@')[2]}{target.parts.path}"
        what = f"{self.address.name} redirects ({status}) to {plain}"
        if status not in (307, 308):
            raise BadInput(f"{what}, which takes the request's body away: give that address as base_url")
        if target.origin == self.address.origin:
            return headers
        if target.host in self.trusted_hosts and target.is_private:
            return dict(JSON)
        raise BadInput(
            f"{what}, another server: give its address as base_url, or name it in redirect_hosts=({target.host!r},); "
            "it then gets the prompts, over https, and no key"
        )

    async def _text(self, reply: httpx2.Response) -> str:
        """Return the body of a reply as text, reading no more than is allowed."""
        packed = reply.headers.get("content-encoding", "").strip().lower()
        if packed not in ENCODINGS:
            raise TooLarge(f"the answer is packed as {packed!r}, which was not asked for")
        parts, size = [], 0
        async for part in reply.aiter_bytes():
            size += len(part)
            # counted after unpacking: a small reply may unpack to gigabytes
            if size > LARGEST:
                raise TooLarge(f"the answer is larger than {LARGEST // 2**20} MiB")
            parts.append(part)
        return decoded(b"".join(parts), reply.charset_encoding)


def decoded(data: bytes, charset: str | None) -> str:
    """Return a body as text. JSON is UTF-8 (RFC 8259) against its header; what is no UTF-8 has the header's encoding.

    >>> decoded("é".encode(), "iso-8859-1"), decoded("é".encode("latin-1"), "iso-8859-1")
    ('é', 'é')
    """
    for name in (json.detect_encoding(data[:8]), charset or "utf-8"):
        try:
            return data.decode(name).removeprefix("\ufeff")
        except (LookupError, UnicodeError):  # also a codec that is none of text
            continue
    return data.decode("utf-8", "replace").removeprefix("\ufeff")


def connect(
    address: Address,
    headers: Mapping[str, str],
    *,
    timeout: float,
    connections: int,
    trusted_hosts: tuple[str, ...] = (),
) -> Connection:
    """Return the connections to a server; it is first spoken to by the first request.

    The environment may name a proxy, but not for this machine's own servers.
    """
    import httpx2

    http = httpx2.AsyncClient(
        limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        timeout=httpx2.Timeout(timeout, connect=min(CONNECT_SECONDS, timeout)),
        # HTTP_PROXY and its like; a proxy could not reach a server on this machine
        trust_env=not address.is_loopback,
        # httpx would send the prompt, and a key in a header of its own, to any host; `_allowed` decides
        follow_redirects=False,
    )
    return Connection(address, headers, http, trusted_hosts)
