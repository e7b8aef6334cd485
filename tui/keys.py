"""Reading keys from where they are: the environment, a command, the keyring."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Mapping

from tui.aside import aside
from tui.credentials import KeySource, Secret
from tui.errors import ConfigError

KEYRING_MISSING = "Keys from the keyring need the package keyring."
KEYRING_HINT = "install the package keyring beside Palaver: pip install keyring"

COMMAND_TIMEOUT = 30.0
"""Seconds a key command may take: it may have to ask for a finger on a token."""


OUTPUT_LIMIT = 64 * 1024
"""Bytes a key command may print; no key is as long."""


async def read_key(source: KeySource, environ: Mapping[str, str] | None = None) -> Secret | None:
    """The key a source holds. Commands and keyrings may take their time; being cancelled ends the wait at once.

    Raises:
        ConfigError: The source holds none, or one that cannot be sent.
    """
    match source.kind:
        case "env":
            return _checked(_from_env(source, os.environ if environ is None else environ), source)
        case "command":
            return _checked(await _from_command(source), source)
        case "keyring":
            return _checked(await aside(lambda: _from_keyring(source)), source)
        case _:
            return None


def _from_env(source: KeySource, environ: Mapping[str, str]) -> str:
    value, name = environ.get(source.where[0]), source.named
    if value is None or not value.strip():
        if not source.variable:
            raise ConfigError(
                "What api_key_env says is not the name of an environment variable.",
                hint="put the key into a variable, and name that",
            )
        state = "not set" if value is None else "empty"
        raise ConfigError(f"The environment variable {name} is {state}.", hint=f"export {name}=… with your key")
    return value


def _start(source: KeySource) -> subprocess.Popen[bytes]:
    command, name = source.where, source.named
    # A variable that the command names is one it means to use.
    environment = {
        variable: value
        for variable, value in os.environ.items()
        if variable not in source.withheld or any(variable in word for word in command)
    }
    try:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            close_fds=True,
        )
    except FileNotFoundError:
        raise ConfigError(f"The key command {name} was not found.", hint="check api_key_command") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"The key command {name} could not be run: {reason}.") from None


async def _from_command(source: KeySource) -> str:
    name, process = source.named, _start(source)
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT):
            # The thread also sees to it that the process is waited for, however this ends.
            output = await aside(lambda: _output(process))
    except TimeoutError:
        raise ConfigError(f"The key command {name} took longer than {COMMAND_TIMEOUT:.0f} s.") from None
    finally:
        process.kill()
    if len(output) > OUTPUT_LIMIT:
        raise ConfigError(
            f"The key command {name} printed more than {OUTPUT_LIMIT // 1024} KiB.",
            hint="it has to print the key alone",
        )
    if process.returncode:
        raise ConfigError(
            f"The key command {name} ended with status {process.returncode}.", hint="run it by hand to see why"
        )
    value = output.decode("utf-8", "replace")
    if not value.strip():
        raise ConfigError(f"The key command {name} printed nothing.")
    return value


def _output(process: subprocess.Popen[bytes]) -> bytes:
    """What a process prints up to its end, or a little more than it may: it is ended then."""
    with process:
        assert process.stdout is not None
        output = process.stdout.read(OUTPUT_LIMIT + 1)
        if len(output) > OUTPUT_LIMIT:
            process.kill()
    return output


def _from_keyring(source: KeySource) -> str:
    import shlex

    try:
        import keyring  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise ConfigError(KEYRING_MISSING, hint=KEYRING_HINT) from None
    service, _, user = source.where[0].partition("/")
    shown, _, owner = source.named.partition("/")
    named = shlex.join([shown, owner])
    try:
        value = keyring.get_password(service, user)
    except Exception as error:  # noqa: BLE001 - each kind of keyring has errors of its own, with words about anything
        kind = type(error).__name__
        message, hint = _KEYRING_TROUBLE.get(
            kind, (f"The keyring could not be read ({kind}).", f"try keyring get {named}")
        )
        raise ConfigError(message, hint=hint) from None
    if not value:
        raise ConfigError(f"The keyring has no entry {source.named}.", hint=f"keyring set {named}")
    return str(value)


_KEYRING_TROUBLE = {
    "KeyringLocked": ("The keyring is locked.", "unlock it, and try again"),
    "NoKeyringError": ("There is no keyring on this system.", "use api_key_env or api_key_command instead"),
}
"""What two of the errors mean that all keyrings have in common, by their kind's name."""


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
