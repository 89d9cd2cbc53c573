"""Addresses of servers: what is asked where, and what may be sent there."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import SplitResult, parse_qsl, urlsplit

SECRET_NAME = re.compile(
    r"(^|[-_.])(api-?_?key|key|token|secret|passw(or)?d|pwd|sig|signature|code|auth|authorization|credentials?|cookie)$",
    re.I,
)
"""Names of what must not be shown: parameters of an address, and headers."""
ENDPOINTS = ("/chat/completions", "/completions")
"""What stands behind an address that ends with the version."""


@dataclass(frozen=True)
class Address:
    """Where a server is, up to and with the version, as the user gave it."""

    text: str
    """The address."""

    @cached_property
    def parts(self) -> SplitResult:
        """The address in parts."""
        return urlsplit(self.text)

    @property
    def name(self) -> str:
        """The address in one spelling: without slashes at the end of its path, with its query."""
        return self._with_query(self.text.partition("#")[0].partition("?")[0].rstrip("/"))

    def url(self, path: str) -> str:
        """Return the address of what is at `path` below it; a query stays behind the path."""
        return self._with_query(self.text.partition("#")[0].partition("?")[0].rstrip("/") + path)

    def _with_query(self, url: str) -> str:
        """Return `url` with the query of this address."""
        return f"{url}?{self.parts.query}" if self.parts.query else url

    @property
    def host(self) -> str:
        """The host's name in small letters."""
        return self.parts.hostname or ""

    @property
    def origin(self) -> tuple[str, str, int | None]:
        """Scheme, host and port: who answers there."""
        scheme = self.parts.scheme.lower()
        return scheme, self.host, self.parts.port or {"http": 80, "https": 443}.get(scheme)

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine: no proxy is needed, and no other machine can read what is sent."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        # 0.0.0.0 is what servers print that listen everywhere; as a target it is this machine
        return address.is_loopback or address.is_unspecified

    @property
    def is_private(self) -> bool:
        """Whether no machine on the way can read what is sent."""
        return self.parts.scheme.lower() == "https" or self.is_loopback

    @property
    def is_azure(self) -> bool:
        """Whether the server takes its key as Azure's deployments do: they are asked for a version by the query."""
        return any(name.lower() == "api-version" for name, _ in parse_qsl(self.parts.query, keep_blank_values=True))

    @property
    def is_openai(self) -> bool:
        """Whether the server is OpenAI's own, for which alone its organization and project are meant."""
        return self.host == "openai.com" or self.host.endswith(".openai.com")

    def problems(self, key_variable: str) -> Iterator[str]:
        """Yield what is wrong with the address; a key in it is never shown."""
        try:
            parts, _ = self.parts, self.parts.port
        except ValueError as error:
            yield f"base_url can't be read: {error}"
            return
        if any(character.isspace() or not character.isprintable() for character in self.text):
            yield f"base_url {self.text.partition('?')[0]!r} holds a blank or another character that no address has"
        if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
            yield f"base_url {self.text.partition('?')[0]!r} is no http or https address"
        if parts.username or parts.password:
            yield f"base_url holds a password: put it into the variable {key_variable}"
        if parts.fragment:
            yield "base_url holds something behind #, which no server ever gets: leave it out"
        for name, _ in parse_qsl(parts.query, keep_blank_values=True):
            if SECRET_NAME.search(name):
                yield (
                    f"base_url's query holds a key ({name}=...), which would stand in files and messages: put it into "
                    f"the variable {key_variable}, and name its header with api_key_header if it has one of its own"
                )
        for ending in ENDPOINTS:
            if parts.path.rstrip("/").endswith(ending):
                yield f"base_url ends with {ending}, which is added to it: leave that out"
                return
