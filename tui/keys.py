"""Reading keys from where they are: the environment, a command, the keyring."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Mapping

from tui.credentials import KeySource, Secret
from tui.errors import ConfigError

COMMAND_TIMEOUT = 30.0
"""Seconds a key command may take: it may have to ask for a finger on a token."""


async def read_key(source: KeySource, environ: Mapping[str, str] | None = None) -> Secret | None:
    """The key a source holds. Commands and keyrings may take their time; being cancelled ends the wait at once.

    Raises:
        ConfigError: The source holds none, or one that cannot be sent.
    """
    match source.kind:
        case "env":
            return _checked(_from_env(source.where[0], os.environ if environ is None else environ), source)
        case "command":
            return _checked(await _from_command(source.where), source)
        case "keyring":
            return _checked(await _in_thread(lambda: _from_keyring(source.where[0])), source)
        case _:
            return None


def _from_env(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name)
    if value is None or not value.strip():
        state = "not set" if value is None else "empty"
        raise ConfigError(f"The environment variable {name} is {state}.", hint=f"export {name}=… with your key")
    return value


async def _from_command(command: tuple[str, ...]) -> str:
    name, pipe = command[0], asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
        )
    except FileNotFoundError:
        raise ConfigError(f"The key command {name} was not found.", hint="check api_key_command") from None
    except OSError as error:
        raise ConfigError(f"The key command {name} could not be run: {error.strerror}.") from None
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT):
            output, _ = await process.communicate()
    except TimeoutError:
        raise ConfigError(f"The key command {name} took longer than {COMMAND_TIMEOUT:.0f} s.") from None
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise ConfigError(
            f"The key command {name} ended with status {process.returncode}.", hint="run it by hand to see why"
        )
    value = output.decode("utf-8", "replace")
    if not value.strip():
        raise ConfigError(f"The key command {name} printed nothing.")
    return value


async def _in_thread(work: Callable[[], str]) -> str:
    """What `work` gives, from a thread that does not keep the program from ending: a keyring may ask, and wait."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[str] = loop.create_future()

    def settle(value: str, error: Exception | None) -> None:
        if not future.done():
            future.set_exception(error) if error else future.set_result(value)

    def run() -> None:
        value, caught = "", None
        try:
            value = work()
        except Exception as error:  # noqa: BLE001 - raised again where it is awaited
            caught = error
        with contextlib.suppress(RuntimeError):  # The program has ended meanwhile.
            loop.call_soon_threadsafe(settle, value, caught)

    threading.Thread(target=run, name="keyring", daemon=True).start()
    return await future


def _from_keyring(entry: str) -> str:
    try:
        import keyring  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise ConfigError(
            "Keys from the keyring need the package keyring.", hint="pip install 'palaver[keyring]'"
        ) from None
    service, _, user = entry.partition("/")
    value = keyring.get_password(service, user)
    if not value:
        raise ConfigError(f"The keyring has no entry {entry}.", hint=f"keyring set {service} {user}")
    return str(value)


def _checked(value: str, source: KeySource) -> Secret:
    """`value` without surrounding blanks, if it can go into a header. The error names a place, never the key."""
    key = value.strip()
    for position, char in enumerate(key, 1):
        if not "\x20" < char < "\x7f":
            raise ConfigError(
                f"The key from {source} has a character that cannot be sent (position {position}).",
                hint="it holds more than a key, or the wrong thing",
            )
    return Secret(key)
