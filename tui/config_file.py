"""The file `config.toml`, and what the environment adds to it: read, checked, and explained where it cannot be used."""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Container, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tui.addresses import check_base_url
from tui.config import CONTINUE_BY, GUIDE, GUIDE_URL, NOTIFY, PROTOCOLS, TITLES, Config, Profile, key_variables
from tui.credentials import KeySource, is_like_a_key, is_secret, secret_parameters
from tui.errors import ConfigError
from tui.toml_file import read_toml, stat_of
from tui.traits import TRAITS
from tui.trust import check_unchangeable

TOP_KEYS = ("profile", "conversation_ttl_days", "theme", "notify", "keys", "profiles")
PROFILE_KEYS = (
    "protocol",
    "base_url",
    "model",
    "api_key_env",
    "api_key_command",
    "api_key_keyring",
    "headers",
    "system",
    "replay",
    "connect_timeout",
    "idle_timeout",
    "params",
    "ca_file",
    "allow_plain_http",
    "continue_by",
    "titles",
    "context_window",
)
BEGIN_TIMEOUT = 300.0
"""Seconds that an answer may be in coming, where the profile gives no time: some servers say nothing before they have all
of it. Where it gives one, or its protocol's is longer, that holds for this as well."""

_PLACE_FOR_KEY = {
    "env": "put the key into a variable, and name that",
    "command": "name a command that prints the key",
    "keyring": "store the key with `keyring set`, and name its entry",
}

_LARGEST = 2**64
"""Above all whole numbers that a server could read."""


def load(file: Path, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration in `file` (which need not exist) and the environment.

    Raises:
        ConfigError: Something in it cannot be used; the message names file and key, or line.
    """
    env = os.environ if environ is None else environ
    return _Reader(file).read(env)


EXAMPLE = """\
# Palaver's configuration. Every line is optional; `palaver config show` prints what is in force.

# profile = "work"                     # the one to use when none is named
# conversation_ttl_days = 14           # how long a server's conversation is taken up again
# theme = "textual-dark"
# notify = "auto"                      # or "bell", or "off": when an answer comes that you do not see

# [profiles.work]
# protocol = "responses"               # or chat, anthropic, ollama, genie, agent-server, rill, agenta, docker-chat, docker-agent
# base_url = "https://api.example.com/v1"
# model = "some-model"
# api_key_env = "EXAMPLE_API_KEY"      # or api_key_command = ["pass", "show", "example"]
# headers = { "x-team" = "infra" }
# system = "Answer briefly."
# replay = true                        # tell a new conversation what was said before
# continue_by = "previous_response_id" # or "conversation", or "nothing"
# titles = "text"                      # or "model": let it name new sessions; or "off"
# context_window = 128000              # tokens the model can take; shows how full it is
# connect_timeout = 10                 # seconds
# idle_timeout = 300                   # seconds without a byte, before and within an answer
# ca_file = "/etc/ssl/our-ca.pem"
# params = { temperature = 0.2 }

# [keys]                               # what F1 shows, by the name it shows
# session.new = "ctrl+t"
"""


class _Reader:
    """Reads one configuration file, collecting warnings on the way."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.warnings: list[str] = []

    def read(self, env: Mapping[str, str]) -> Config:
        data = self._parse()
        self._warn_unknown(data, TOP_KEYS, "")
        if env.get("SSLKEYLOGFILE"):
            self.warnings.append(
                "SSLKEYLOGFILE is set: what opens encrypted connections, keys in them, is written there."
            )
        tables = self._get(data, "profiles", dict, {}, "")
        offers = _Offers(env, tables)
        profiles = {"guide": GUIDE} | offers.profiles
        for name, trouble in offers.unusable.items():
            self.warnings.append(f"the profile {name} cannot be used: {trouble}")
        for name, table in tables.items():
            if not isinstance(table, dict):
                raise self._wrong(f"profiles.{name}", "a table")
            profiles[name] = self._profile(name, table)
        profiles = _keeping_keys_apart(profiles)
        default = self._get(data, "profile", str, "", "") or offers.first
        days = self._number(data, "conversation_ttl_days", 14, "")
        keys = self._get(data, "keys", dict, {}, "")
        config = Config(
            profiles=profiles,
            default=default,
            conversation_ttl=days * 86400.0,
            theme=self._get(data, "theme", str, "", ""),
            notify=self._one_of(data, "notify", NOTIFY, NOTIFY[0], ""),
            keys=dict(_flatten(keys)),
            warnings=tuple(self.warnings),
            unusable=offers.unusable,
        )
        if config.default not in config.unusable:
            try:
                config.profile()
            except ConfigError as error:
                raise ConfigError(f"{self.file}: {error.message}", hint=error.hint) from None
        return config

    def _parse(self) -> dict[str, Any]:
        info = stat_of(self.file)
        if info is None:
            return {}
        data = read_toml(self.file)
        self._check_mode(info, data)
        return data

    def _check_mode(self, info: os.stat_result, data: dict[str, Any]) -> None:
        tables = [table for table in _tables(data) if isinstance(table, dict)]
        if any("base_url" in table or "api_key_command" in table for table in tables):
            check_unchangeable(self.file)
        if info.st_mode & 0o044 and (kind := next(filter(None, map(_kind_of_secret, tables)), "")):
            self.warnings.append(f"{self.file} holds a secret {kind} and can be read by others: chmod 600 {self.file}")

    def _profile(self, name: str, table: dict[str, Any]) -> Profile:
        where = f"profiles.{name}."
        if "api_key" in table:
            raise ConfigError(
                f"{self.file}: {where}api_key: keys are not kept in the file.",
                hint='name where the key is: api_key_env = "NAME" or api_key_command = ["…"]',
            )
        protocol = self._one_of(table, "protocol", PROTOCOLS, "responses", where)
        traits = TRAITS[protocol]
        self._warn_unknown(table, (*PROFILE_KEYS, *traits.options), where)
        key = self._key(table, where)
        headers = self._headers(table, where)
        params = self._params(table, where)
        return Profile(
            name=name,
            protocol=protocol,
            base_url=GUIDE_URL if protocol == "guide" else self._base_url(table, where, key, headers, params),
            model=self._get(table, "model", str, "guide" if protocol == "guide" else "", where),
            key=key,
            headers=tuple(headers.items()),
            system=self._get(table, "system", str, "", where),
            replay=self._get(table, "replay", bool, True, where),
            connect_timeout=self._number(table, "connect_timeout", 10, where),
            idle_timeout=self._number(table, "idle_timeout", traits.idle_timeout, where),
            begin_timeout=None if "idle_timeout" in table else max(BEGIN_TIMEOUT, traits.idle_timeout),
            params=params,
            ca_file=self._ca_file(table, where),
            continue_by=self._one_of(table, "continue_by", CONTINUE_BY, CONTINUE_BY[0], where),
            titles=self._one_of(table, "titles", TITLES, TITLES[0], where),
            context_window=self._count(table, "context_window", where),
            options={
                name: self._get(table, name, kind, None, where)
                for name, kind in traits.options.items()
                if name in table
            },
            source=str(self.file),
            allow_plain_http=self._get(table, "allow_plain_http", bool, False, where),
        )

    def _key(self, table: dict[str, Any], where: str) -> KeySource:
        given = [name for name in ("api_key_env", "api_key_command", "api_key_keyring") if name in table]
        if len(given) > 1:
            raise ConfigError(f"{self.file}: {where}{given[0]} and {given[1]} are both given.", hint="keep one")
        if not given:
            return KeySource()
        if given[0] == "api_key_command":
            words = table["api_key_command"]
            if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
                raise self._wrong(f"{where}api_key_command", 'a list of words, such as ["pass", "show", "work"]')
            return self._no_key(KeySource("command", tuple(words)), f"{where}api_key_command")
        value = self._get(table, given[0], str, "", where)
        if not value or "=" in value or "\x00" in value:
            raise self._wrong(f"{where}{given[0]}", "a name")
        return self._no_key(KeySource(given[0].removeprefix("api_key_"), (value,)), f"{where}{given[0]}")

    def _no_key(self, source: KeySource, key: str) -> KeySource:
        """`source`, unless what it names looks like the key itself: as a name it would be kept and shown."""
        is_name = source.kind == "env" and source.variable
        if not is_name and is_like_a_key(source.where[0]):
            raise ConfigError(
                f"{self.file}: {key}: this looks like a key, and keys are not kept in the file.",
                hint=_PLACE_FOR_KEY[source.kind],
            )
        return source

    def _headers(self, table: dict[str, Any], where: str) -> dict[str, str]:
        headers: dict[str, str] = self._get(table, "headers", dict, {}, where)
        for header, value in headers.items():
            if not isinstance(value, str) or not re.fullmatch(r"[\x20-\x7e]*", value):
                raise self._wrong(f"{where}headers.{header}", "a string of printable ASCII")
            # Not quoted: it may be a whole header, with the key.
            wrong = re.search(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]", header)
            if wrong or not header:
                trouble = f"cannot have {wrong[0]!r} in it" if wrong else "is empty"
                raise ConfigError(f"{self.file}: {where}headers: a name {trouble}.")
        return headers

    def _params(self, table: dict[str, Any], where: str) -> dict[str, Any]:
        params: dict[str, Any] = self._get(table, "params", dict, {}, where)
        self._check_json(params, f"{where}params")
        return params

    def _check_json(self, value: object, name: str) -> None:
        """Refuse what can be said in TOML and not in JSON."""
        match value:
            case dict():
                for key, one in value.items():
                    self._check_json(one, f"{name}.{key}")
            case list():
                for one in value:
                    self._check_json(one, name)
            case float() if not math.isfinite(value):
                raise self._wrong(name, "a number that JSON has")
            case int() if abs(value) >= _LARGEST:
                raise self._wrong(name, "a number that JSON has, a whole one of 64 bits at most")
            case str() | int() | float():
                pass
            case _:
                raise self._wrong(name, "text, a number, true or false, a list or a table: JSON has no dates")

    def _base_url(
        self,
        table: dict[str, Any],
        where: str,
        key: KeySource,
        headers: Mapping[str, str],
        params: Mapping[str, Any],
    ) -> str:
        url = self._get(table, "base_url", str, "", where)
        if not url:
            raise ConfigError(f"{self.file}: {where}base_url is missing.", hint='such as "https://api.example.com/v1"')
        header, parameter = _secret_header(headers), next(secret_parameters(params), ("", ""))[0]
        sent = f"the header {header}" if header else f"the parameter {parameter}" if parameter else ""
        if key.kind != "none":
            sent = "the key"
        if self._get(table, "allow_plain_http", bool, False, where):
            sent = ""
        try:
            return check_base_url(url, key=sent)
        except ConfigError as error:
            raise ConfigError(f"{self.file}: {where}base_url: {error.message}", hint=error.hint) from None

    def _ca_file(self, table: dict[str, Any], where: str) -> str:
        name = self._get(table, "ca_file", str, "", where)
        if not name:
            return ""
        trouble = f"there is no file {name}"
        try:
            path = Path(name).expanduser()
            if stat.S_ISREG(path.stat().st_mode):
                return str(path)
        except RuntimeError:
            trouble = f"the home folder in {name} is not known"
        except OSError as error:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                trouble = f"{name} cannot be read: {error.strerror}"
        except ValueError:
            pass  # it has a NUL in it
        raise ConfigError(f"{self.file}: {where}ca_file: {trouble}.")

    def _get(self, table: dict[str, Any], key: str, kind: type, default: Any, where: str) -> Any:
        value = table.get(key, default)
        if not isinstance(value, kind):
            names = {str: "a string", bool: "true or false", dict: "a table"}
            raise self._wrong(where + key, names[kind])
        return value

    def _number(self, table: dict[str, Any], key: str, default: float, where: str) -> float:
        value = table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
            raise self._wrong(where + key, "a number above 0")
        return float(value)

    def _count(self, table: dict[str, Any], key: str, where: str) -> int | None:
        value = table.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**9):
            raise self._wrong(where + key, "a whole number above 0")
        return value

    def _one_of(self, table: dict[str, Any], key: str, allowed: tuple[str, ...], default: str, where: str) -> str:
        value = self._get(table, key, str, default, where)
        if value not in allowed:
            raise self._wrong(where + key, "one of " + ", ".join(f'"{word}"' for word in allowed))
        return str(value)

    def _wrong(self, key: str, accepted: str) -> ConfigError:
        return ConfigError(f"{self.file}: {key} has to be {accepted}.")

    def _warn_unknown(self, table: dict[str, Any], known: tuple[str, ...], where: str) -> None:
        for key in table:
            if key not in known:
                import difflib

                near = difflib.get_close_matches(key, known, 1)
                hint = f" (did you mean {near[0]!r}?)" if near else ""
                self.warnings.append(f"{self.file}: unknown key {where}{key!s}{hint}")


def _keeping_keys_apart(profiles: Mapping[str, Profile]) -> dict[str, Profile]:
    """The profiles, their key commands told which variables hold the keys of others."""
    keys = key_variables(profiles)
    return {name: replace(profile, key=replace(profile.key, withheld=keys)) for name, profile in profiles.items()}


class _Offers:
    """The profiles that come whole from the environment, but for those `taken` by the file's own of that name. `first` is
    the one to prefer, wherever it comes from; `unusable` those that come to nothing, and why.
    """

    def __init__(self, env: Mapping[str, str], taken: Container[str]) -> None:
        self._env, self._taken = env, taken
        self.profiles: dict[str, Profile] = {}
        self.unusable: dict[str, ConfigError] = {}
        self.first = ""
        said = self._said
        if said("OPENAI_API_KEY"):
            url, model = said("OPENAI_BASE_URL", "https://api.openai.com/v1"), said("OPENAI_MODEL", "gpt-5")
            self._add("openai", "responses", url, model, "OPENAI_API_KEY", url_from="OPENAI_BASE_URL")
        if said("ANTHROPIC_API_KEY"):
            url = said("ANTHROPIC_BASE_URL", "https://api.anthropic.com").rstrip("/").removesuffix("/v1") + "/v1"
            model = said("ANTHROPIC_MODEL", "claude-sonnet-4-5")
            self._add("anthropic", "anthropic", url, model, "ANTHROPIC_API_KEY", url_from="ANTHROPIC_BASE_URL")
        if said("OLLAMA_HOST"):
            url = _ollama_url(said("OLLAMA_HOST"))
            self._add("ollama", "ollama", url, said("OLLAMA_MODEL"), "", url_from="OLLAMA_HOST")
        if said("DATABRICKS_HOST") and said("DATABRICKS_TOKEN"):
            host = said("DATABRICKS_HOST")
            url = host if "://" in host else f"https://{host}"
            source = "DATABRICKS_HOST, DATABRICKS_TOKEN"
            self._add("genie", "genie", url, "", "DATABRICKS_TOKEN", url_from="DATABRICKS_HOST", source=source)
        self.first = self.first or "guide"

    def _said(self, name: str, otherwise: str = "") -> str:
        return self._env.get(name, "").strip() or otherwise

    def _add(
        self, name: str, protocol: str, url: str, model: str, key: str, *, url_from: str, source: str = ""
    ) -> None:
        self.first = self.first or name
        if name in self._taken:
            return
        try:
            base_url = check_base_url(url, key="the key" if key else "")
        except ConfigError as error:
            hint = error.hint
            if "allow_plain_http" in hint:
                hint = (
                    f"use https://, or write [profiles.{name}] into the file, with allow_plain_http = true if you must"
                )
            self.unusable[name] = ConfigError(f"{url_from}: {error.message}", hint=hint)
            return
        timeout = TRAITS[protocol].idle_timeout
        self.profiles[name] = Profile(
            name,
            protocol,
            base_url,
            model,
            KeySource("env", (key,)) if key else KeySource(),
            idle_timeout=timeout,
            begin_timeout=max(BEGIN_TIMEOUT, timeout),
            source=source or key or url_from,
        )


def _ollama_url(said: str) -> str:
    """The address that Ollama's own variable means to it, except where it says where to listen: that is this machine.

    All but the host may be missing. The port is Ollama's own, or, where there is a scheme, that scheme's.
    """
    said = said.strip("\"' ")
    scheme, mark, rest = said.partition("://") if "://" in said else ("http", "", said)
    place, slash, path = rest.partition("/")
    host, colon, port = place.rpartition(":")
    if ":" in host and not host.startswith("["):
        host, port = f"[{place}]", ""
    elif not colon or "]" in port:
        host, port = place, ""
    port = port or ("" if mark else "11434")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "": "127.0.0.1"}.get(host, host)
    return f"{scheme}://{host}{f':{port}' if port else ''}{slash}{path}"


def _flatten(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A table of keys as pairs: TOML reads `session.new = …` as a table in a table."""
    pairs: list[tuple[str, str]] = []
    for key, value in table.items():
        if isinstance(value, dict):
            pairs += _flatten(value, f"{prefix}{key}.")
        elif isinstance(value, str):
            pairs.append((prefix + key, value))
        else:
            raise ConfigError(f"keys.{prefix}{key} has to be a string.", hint='such as "ctrl+t" or "f3,ctrl+t"')
    return pairs


def _tables(data: dict[str, Any]) -> list[Any]:
    profiles = data.get("profiles")
    return list(profiles.values()) if isinstance(profiles, dict) else []


def _secret_header(headers: Mapping[str, Any]) -> str:
    """The first of these headers that is a key, by its name; empty where none is."""
    return next(filter(is_secret, headers), "")


def _kind_of_secret(table: Mapping[str, Any]) -> str:
    """What a profile has that is a key, in the file itself; empty where it has nothing of the kind."""
    if _secret_header(_as_dict(table.get("headers"))):
        return "header"
    return "parameter" if any(secret_parameters(table.get("params"))) else ""


def _as_dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
