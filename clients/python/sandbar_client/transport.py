"""How a request gets to a server, and what becomes of its answer."""

from __future__ import annotations

import json
import os
import pathlib
import urllib.parse
from collections.abc import Iterator
from typing import Any, Self

import httpx


class SandbarError(Exception):
    """A problem that the server told of."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        #: The whole problem (RFC 9457).
        self.problem = problem
        #: Stable: see docs/errors.md.
        self.code: str = problem.get("code", "unknown")
        #: What to do about it, where the server knows.
        self.hint: str | None = problem.get("hint")
        super().__init__(f"{status} {self.code}: {problem.get('message') or problem.get('title')}")


class Transport:
    """Asks a server at `unix:PATH` or `http://HOST:PORT`, the one of `SANDBAR_SERVER` when none is named.

    A server on TCP wants a token: an API key, or the one of its token file (`SANDBAR_TOKEN`).
    """

    def __init__(self, server: str | None = None, token: str | None = None, timeout: float | None = 60) -> None:
        server = server or os.environ.get("SANDBAR_SERVER") or _own_server()
        token = token or os.environ.get("SANDBAR_TOKEN")
        path = server.removeprefix("unix:")
        transport = httpx.HTTPTransport(uds=path) if path != server else None
        base = "http://localhost" if transport else server
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=base, headers=headers, timeout=timeout, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes every connection."""
        self._http.close()

    @staticmethod
    def segment(text: str) -> str:
        """A part of a path, so that nothing in it is taken for more of the path."""
        return urllib.parse.quote(text, safe="")

    def ask(self, method: str, path: str, answer: str, **sent: Any) -> Any:
        """Sends a request and reads the answer as `answer`: `json`, `text`, `bytes` or `nothing`."""
        response = self._http.send(self._request(method, path, **sent))
        _check(response)
        match answer:
            case "json":
                return response.json() if response.content else None
            case "text":
                return response.text
            case "bytes":
                return response.content
            case _:
                return None

    def follow(self, method: str, path: str, **sent: Any) -> Iterator[Any]:
        """Yields what a stream of server-sent events sends, until it ends."""
        request = self._request(method, path, **sent)
        request.headers["Accept"] = "text/event-stream"
        request.extensions = {"timeout": {"connect": 60, "read": None, "write": 60, "pool": 60}}
        response = self._http.send(request, stream=True)
        try:
            if response.is_error:
                response.read()
            _check(response)
            yield from _events(response.iter_lines())
        finally:
            response.close()

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
        body: Any = None,
        media: str = "application/json",
    ) -> httpx.Request:
        query = {key: _text(value) for key, value in (query or {}).items() if value is not None}
        headers = {key: str(value) for key, value in (headers or {}).items() if value is not None}
        content = None
        if body is not None:
            headers["Content-Type"] = media
            content = json.dumps(body).encode() if media == "application/json" else body
        return self._http.build_request(method, path, params=query, headers=headers, content=content)


def _own_server() -> str:
    home = os.environ.get("XDG_DATA_HOME") or str(pathlib.Path.home() / ".local/share")
    default = "/var/lib/sandbar" if os.geteuid() == 0 else f"{home}/sandbar"
    return f"unix:{os.environ.get('SANDBAR_DATA_DIR', default)}/run/sandbar.sock"


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _check(response: httpx.Response) -> None:
    if not response.is_error:
        return
    try:
        problem = response.json()
    except ValueError:
        problem = {"title": response.text[:200]}
    raise SandbarError(response.status_code, problem)


def _events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Reads frames as the HTML standard says: a blank line ends one, a line that begins with a colon says nothing."""
    last_id: str | None = None
    frame: dict[str, str] = {}
    for line in lines:
        if not line:
            if "data" in frame:
                event = {"event": frame.get("event", "message"), "data": frame["data"]}
                yield event if last_id is None else {"id": last_id, **event}
            frame = {}
            continue
        field, _colon, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data" and "data" in frame:
            frame["data"] += f"\n{value}"
        elif field == "id":
            last_id = value
        elif field:
            frame[field] = value
