"""No call of any protocol brings a key or a prompt to another origin: not by a redirect, by a header, or through a proxy."""

from __future__ import annotations

import ast
import importlib
import os
import random
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import tui.client.protocols
from tests.client.fault_server import FaultServer, Request, chunked
from tests.client.protocols.calls import CALLS, PROMPT, Call, functions, visiting
from tests.client.protocols.contract import standing
from tests.client.protocols.contract_cases import CASES
from tests.client.protocols.talks import moved
from tests.client.relay import Relay, traces
from tests.client.test_http import Authority
from tests.fake_server import completed
from tui.client.http import Http
from tui.traits import TRAITS

pytestmark = pytest.mark.usefixtures("nothing_left")

KEY = "sk-canary/0123456789+abcdef~"
STATUSES = (301, 302, 303, 307, 308)
EVERYTHING = os.environ.get("PALAVER_REDIRECTS") == "all"
"""Whether every request is redirected in every way there is, or each in one of them."""

HERE = Path(tui.client.protocols.__file__).parent
protocols = pytest.mark.parametrize("protocol", [case.protocol for case in CASES])


def targets(own: int, other: int) -> dict[str, str]:
    """Addresses of another origin, by what is tricky about them."""
    return {
        "another port": f"http://127.0.0.1:{other}/v1/responses?a=b",
        "another name": f"http://localhost:{other}/v1/responses",
        "a user that looks like a host": f"http://127.0.0.1:{own}@localhost:{other}/v1/responses",
        "no scheme": f"//127.0.0.1:{other}/v1/responses",
        "a fragment": f"http://127.0.0.1:{other}/v1/responses#@127.0.0.1:{own}",
        "a backslash": f"http:\\\\127.0.0.1:{other}\\v1",
    }


def redirect(status: int, target: str) -> bytes:
    fields = f"location: {target}\r\nrefresh: 0; url={target}\r\nset-cookie: crumb={KEY}; path=/\r\n"
    return f"HTTP/1.1 {status} Moved\r\n{fields}content-length: 0\r\n\r\n".encode()


def signposts(other: int) -> bytes:
    """Headers of an answer that point elsewhere."""
    url = f"http://127.0.0.1:{other}/v1/responses"
    fields = {
        "location": url,
        "content-location": url,
        "refresh": f"0; url={url}",
        "link": f"<{url}>; rel=next, <{url}>; rel=preload",
        "alt-svc": f'h2="127.0.0.1:{other}"; ma=86400; persist=1, http/1.1="127.0.0.1:{other}"',
        "set-cookie": "crumb=of-this-origin; path=/",
        "x-accel-redirect": url,
    }
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()


@dataclass
class Origins:
    """Another origin and a proxy, neither of which may hear anything."""

    other: FaultServer
    proxy: FaultServer

    def assert_untouched(self, where: str) -> None:
        for server in (self.other, self.proxy):
            assert traces(KEY, server.heard) == traces(PROMPT, server.heard) == [], where
            assert server.received == [], where


@asynccontextmanager
async def _origins(monkeypatch: pytest.MonkeyPatch) -> Any:
    good = [Request(), *chunked(completed("stolen"))]
    async with FaultServer(good) as other, FaultServer(good) as proxy:
        for name, scheme in product(("http_proxy", "https_proxy", "all_proxy"), ("http://", "")):
            variable = name if scheme else name.upper()
            monkeypatch.setenv(variable, f"{scheme}user:pass@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("FAKE_KEY", KEY)
        yield Origins(other, proxy)


@dataclass
class Made:
    """What a call came to: the words it failed with, and the requests it made."""

    words: str
    heard: list[bytes]


async def make(
    call: Call, folder: Path, *, instead: Callable[[int, int], bytes | None] | None = None, fields: bytes = b""
) -> Made:
    """Make a call. `instead` answers a request, given the relay's port and the request's number."""
    with standing(call.case, folder, key=KEY, **call.service) as stand:
        async with Relay(stand.running.port) as relay:
            relay.fields = fields
            if instead is not None:
                relay.instead = lambda number: instead(relay.port, number)
            async with visiting(call, stand.running, stand.profile, moved(stand.profile, relay.port)) as act:
                words = await act()
    return Made(words, relay.heard)


@protocols
@pytest.mark.fault("N37", "N38", "N39", "N40", "K08")
async def test_no_call_brings_a_key_or_a_prompt_anywhere_else(
    protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, reached = random.Random(protocol), sites_reached(monkeypatch)
    async with _origins(monkeypatch) as origins:
        ways = list(product(STATUSES, targets(0, 0)))
        for call in (call for call in CALLS if call.case.protocol == protocol):
            whole = await make(call, tmp_path, fields=signposts(origins.other.port))
            assert all(traces(KEY, heard) for heard in whole.heard), "the search finds what is there"
            assert not whole.words or call.how == "by conversation", call
            origins.assert_untouched(f"{call}, with signposts")
            for number in firsts(whole.heard):
                for status, how in ways if EVERYTHING else [chance.choice(ways)]:

                    def instead(own: int, at: int, number: int = number, status: int = status, how: str = how) -> Any:
                        return redirect(status, targets(own, origins.other.port)[how]) if at == number else None

                    made = await make(call, tmp_path, instead=instead)
                    where = f"{call}: request {number} is answered with {status} to {how}"
                    origins.assert_untouched(where)
                    assert len(made.heard) > number, where
                    # What a run is followed for after a cut is told as the cut, however the following fails.
                    told = "The connection was lost" if call.how == "cut" else "moved to"
                    assert made.words == whole.words or re.search(f"moved to|{told}", made.words), (
                        f"{where}: {made.words}"
                    )
                    prompts = [sum(PROMPT.encode() in heard for heard in one.heard) for one in (made, whole)]
                    # A busy session takes no prompt, and is asked again.
                    assert prompts[0] <= prompts[1] or call.how == "taken over", where
    assert sites(protocol) - reached == set(), "a request no call of this test makes"


def firsts(heard: list[bytes]) -> list[int]:
    """The first request of each kind."""
    kinds = [re.sub(rb"[0-9a-f-]{30,}", b"*", one.partition(b"\r\n")[0]) for one in heard]
    return [number for number, kind in enumerate(kinds) if kind not in kinds[:number] or kinds.count(kind) < 3]


def test_every_call_of_every_protocol_is_known() -> None:
    for protocol in TRAITS:
        if protocol != "guide":
            known = {call.name for call in CALLS if call.case.protocol == protocol}
            assert functions(protocol) == known, f"{protocol} has a call that this test does not make"


MAKERS = {"call", "open", "read_events", "list_models"}
FILES = {"chat": "chat_completions"}


def sites(protocol: str) -> set[str]:
    """Where a protocol's own files make a request."""
    stem = FILES.get(protocol, protocol.replace("-", "_"))
    files = [HERE / f"{stem}.py", *HERE.glob(f"{stem}_*.py")]
    return {f"{file.name}:{node.lineno}" for file in files if file.exists() for node in _requests(file)}


def _requests(file: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in MAKERS and "http" in ast.unparse(node).partition(",")[0]:
                yield node


def sites_reached(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Where requests are made from on, by file and line, noted as they are."""
    reached: set[str] = set()

    def noting(under: Any) -> Any:
        def noted(*args: Any, **more: Any) -> Any:
            code = sys._getframe(1)
            reached.add(f"{Path(code.f_code.co_filename).name}:{code.f_lineno}")
            return under(*args, **more)

        return noted

    modules = [importlib.import_module(f"tui.client.protocols.{file.stem}") for file in HERE.glob("[a-z]*.py")]
    for owner, name in product((Http, *modules), MAKERS):
        if hasattr(owner, name):
            monkeypatch.setattr(owner, name, noting(getattr(owner, name)))
    return reached


@protocols
@pytest.mark.fault("N38", "K08")
async def test_nothing_leaves_tls(protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secure server that sends the client on to the same host without TLS."""
    call = next(call for call in CALLS if (call.case.protocol, call.how) == (protocol, "first"))
    authority = Authority(tmp_path)
    async with _origins(monkeypatch) as origins:
        with standing(call.case, tmp_path, key=KEY) as stand:
            async with Relay(stand.running.port, authority.server("good")) as relay:
                secure = replace(moved(stand.profile, relay.port, "https"), ca_file=authority.file)
                for status in (None, *STATUSES):
                    target = f"http://127.0.0.1:{origins.other.port}/v1/responses"
                    answer = redirect(status, target) if status else None
                    relay.instead = partial(lambda answer, number: answer, answer)
                    relay.heard.clear()
                    async with visiting(call, stand.running, stand.profile, secure) as act:
                        words = await act()
                    origins.assert_untouched(f"{status}")
                    assert all(traces(KEY, heard) for heard in relay.heard)
                    assert ("moved to" in words) == bool(status)


@protocols
async def test_a_cookie_of_one_origin_does_not_go_to_another(
    protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cookies know no ports: what keeps them apart is that no two turns share anything."""
    call = next(call for call in CALLS if (call.case.protocol, call.how) == (protocol, "first"))
    monkeypatch.setenv("FAKE_KEY", KEY)
    with standing(call.case, tmp_path, key=KEY) as stand:
        async with Relay(stand.running.port) as one, Relay(stand.running.port) as other:
            one.fields = b"set-cookie: crumb=of-one; path=/\r\nset-cookie: more=of-one; domain=127.0.0.1\r\n"
            for relay in (one, other, one):
                relay.heard.clear()
                async with visiting(call, stand.running, stand.profile, moved(stand.profile, relay.port)) as act:
                    assert await act() == ""
                assert b"cookie:" not in relay.heard[0].lower()
                assert relay is one or not any(b"of-one" in heard for heard in relay.heard)


def test_traces_are_found_in_every_form() -> None:
    import base64
    from urllib.parse import quote

    secret = "a key/of+many~signs?"
    for before in ("", "x", "xy", "user:pass:"):
        coded = base64.b64encode(f"{before}{secret}, and more".encode())
        assert traces(secret, b"... " + coded)
        assert traces(secret, coded.translate(bytes.maketrans(b"+/", b"-_")))
    assert traces(secret, quote(secret, safe="").encode())
    assert traces(secret, f"GET /?{secret}".encode())
    assert traces(secret, b"a key of another kind") == []
