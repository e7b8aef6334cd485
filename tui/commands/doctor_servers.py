"""The configuration's file, and each profile: its server, its key's source, its proxy. No key is shown, and nothing sent."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from urllib.parse import urlsplit

from tui import config_file, paths
from tui.addresses import is_loopback
from tui.commands.doctor_lines import Line, Mark, guarded
from tui.config import Config, Profile
from tui.credentials import KeySource
from tui.errors import ConfigError
from tui.keys import KEYRING_HINT, KEYRING_MISSING, read_key
from tui.text import shell_word

_PLACE = re.compile(r"([\w.-]+|\[[\da-fA-F:.]+\])(:\d+)?")


def configuration() -> Iterator[Line]:
    """The file, what is wrong or odd in it, and the profiles there are."""
    file = paths.find().config_file
    try:
        paths.require(file.parent)
    except ConfigError as error:
        yield Line(Mark.NOTE, "config", error.message, error.hint)
    else:
        there = str(file) if file.exists() else f"{file} (there is none; `palaver config init` writes one)"
        yield Line(Mark.OK, "config", there)
    config = config_file.load(file)
    for warning in config.warnings:
        said = warning.removeprefix(f"{file}: ").removeprefix(f"{file} ")
        # The one warning that ends with what mends it is that others can read a secret.
        fact = said.removesuffix(f": chmod 600 {file}")
        if fact != said:
            yield Line(Mark.WRONG, "config", fact, f"chmod 600 {shell_word(str(file))}")
        else:
            is_default = config.default in config.unusable and said.startswith(f"the profile {config.default} cannot")
            yield Line(Mark.WRONG if is_default else Mark.NOTE, "config", said)
    for profile in config.profiles.values():
        yield from guarded("profile", partial(_profile, config, profile), profile.name)


def _profile(config: Config, profile: Profile) -> Iterator[Line]:
    is_default = profile.name == config.default
    name = f"{profile.name} (the default)" if is_default else profile.name
    if profile.protocol == "guide":
        yield Line(Mark.OK, "profile", f"{name}: answers from within, without key or network")
        return
    key, problem = _key(profile.key)
    proxy, obstacle = _way(profile)
    facts = f"{name}: {profile.protocol} at {profile.base_url}; {key}; {proxy}"
    errors = [error for error in (problem, obstacle) if error is not None]
    if not errors:
        yield Line(Mark.OK, "profile", facts)
        return
    # Another profile than the default may well be one that is not used.
    mark = Mark.WRONG if is_default else Mark.NOTE
    told = " ".join(error.message for error in errors)
    yield Line(mark, "profile", f"{facts}. {told}", "; ".join(error.hint for error in errors if error.hint))


def _key(source: KeySource) -> tuple[str, ConfigError | None]:
    """Where a key comes from, as far as can be told without running a command or unlocking a keyring."""
    try:
        match source.kind:
            case "env":
                asyncio.run(read_key(source))
                return f"key: {source}, set", None
            case "command":
                if shutil.which(source.where[0]) is None:
                    raise ConfigError(f"The key command {source.named} was not found.", hint="check api_key_command")
                return f"key: {source}, not run here", None
            case "keyring":
                if find_spec("keyring") is None:
                    raise ConfigError(KEYRING_MISSING, hint=KEYRING_HINT)
                return f"key: {source}, not opened here", None
            case _:
                return "no key", None
    except ConfigError as error:
        return f"key: {source}", error


def _way(profile: Profile) -> tuple[str, ConfigError | None]:
    """The proxy a profile's server is reached through, and why it, or the certificates, cannot be used."""
    from tui.client.transport import find_proxy

    parts = urlsplit(profile.base_url)
    host = parts.hostname or ""
    variable, proxy = find_proxy(parts.scheme, host, parts.port)
    words = f"proxy: {_place(proxy)} ({variable})" if proxy else "no proxy"
    if is_loopback(host):
        words = "no proxy (this machine)"
    try:
        asyncio.run(_made(profile, variable, proxy))
    except ConfigError as error:
        return words, error
    return words, None


async def _made(profile: Profile, variable: str, proxy: str) -> None:
    """Make what a turn is sent through, and send nothing.

    Raises:
        ConfigError: The proxy or the certificates cannot be used.
    """
    from tui.client.transport import network

    await (await network(profile, variable, proxy)).aclose()


def _place(proxy: str) -> str:
    """A proxy's host and port, and nothing that could be a user or a password."""
    rest = proxy.rpartition("://")[2].rpartition("@")[2]
    place = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return place if _PLACE.fullmatch(place) else "an address that cannot be read"
