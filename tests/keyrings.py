"""Keyrings for tests, through the interface that the package keyring gives to those who make one.

`PYTHON_KEYRING_BACKEND=tests.keyrings.NAME` chooses one, for a program of its own.
"""

from __future__ import annotations

import os

from keyring.backend import KeyringBackend
from keyring.errors import InitError, KeyringLocked, PasswordDeleteError, PasswordSetError

from tests import canary


class _Backend(KeyringBackend):
    priority = 1

    def set_password(self, service: str, username: str, password: str) -> None:
        raise PasswordSetError("nothing is written here")

    def delete_password(self, service: str, username: str) -> None:
        raise PasswordDeleteError("nothing is deleted here")


class Open(_Backend):
    """Holds one entry, `palaver/work`, of which the environment says what it is."""

    def get_password(self, service: str, username: str) -> str | None:
        return os.environ[canary.NAME] if (service, username) == ("palaver", "work") else None


class Locked(_Backend):
    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked(f"Failed to unlock {os.environ[canary.NAME]}")


class Broken(_Backend):
    def get_password(self, service: str, username: str) -> str | None:
        raise InitError(f"Failed to open {os.environ[canary.NAME]}")
