"""Configuration as values: the profiles there are, and the settings that hold for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from tui.addresses import origin_of
from tui.credentials import KeySource, is_secret
from tui.errors import ConfigError
from tui.traits import TRAITS, Telling, Traits
from tui.values import dataclass

PROTOCOLS = tuple(TRAITS)
"""The wire formats a profile can name."""

CONTINUE_BY = ("previous_response_id", "conversation", "nothing")

TITLES = ("text", "model", "off")
"""What a session's title is made of."""

NOTIFY = ("auto", "bell", "off")
"""How the terminal is told that a session which is not looked at has come to something."""

GUIDE_URL = "http://guide.localhost"


@dataclass(frozen=True, slots=True)
class Profile:
    """A configured server. Times are seconds; `params` are merged into every request's body. `context_window` is how many
    tokens its model takes in and gives out at most, where the user says so.

    `begin_timeout` is how long an answer may be in coming, where that is not `idle_timeout` as well. `options` is what only
    profiles of this protocol may say.
    """

    name: str
    protocol: str
    base_url: str
    model: str = ""
    key: KeySource = KeySource()
    headers: tuple[tuple[str, str], ...] = ()
    system: str = ""
    replay: bool = True
    connect_timeout: float = 10.0
    idle_timeout: float = 120.0
    begin_timeout: float | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    ca_file: str = ""
    continue_by: str = "previous_response_id"
    titles: str = "text"
    context_window: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    source: str = "built in"
    allow_plain_http: bool = False

    @property
    def origin(self) -> str:
        """Scheme, host and port: what a conversation id or a key may never leave."""
        return origin_of(self.base_url)

    @property
    def principal(self) -> str:
        """Who its server takes us for, as far as the configuration says. Keys in headers are told apart by whose they are."""
        if any(is_secret(name) for name, _ in self.headers):
            return f"{self.key.principal} headers of {self.name}".lstrip()
        return self.key.principal

    @property
    def traits(self) -> Traits:
        """What its server can do, given how the profile wants it used."""
        traits = TRAITS[self.protocol]
        if self.continue_by == "nothing" and traits.keeps:
            return replace(traits, keeps=False, telling=Telling.ALL)
        if self.continue_by == "conversation":
            return replace(traits, names_point=False)
        return traits

    def option(self, name: str) -> str:
        """An option that is text; empty where the profile does not say."""
        return str(self.options.get(name, ""))


GUIDE = Profile(name="guide", protocol="guide", base_url=GUIDE_URL, model="guide")


KEY_VARIABLES = frozenset({"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "DATABRICKS_TOKEN"})
"""Those that make a profile by themselves: they hold keys, whether or not that profile is there."""


def key_variables(profiles: Mapping[str, Profile]) -> frozenset[str]:
    """The environment variables in which these profiles have their keys, or that always hold one."""
    return KEY_VARIABLES | {profile.key.where[0] for profile in profiles.values() if profile.key.kind == "env"}


@dataclass(frozen=True, slots=True)
class Config:
    """Everything configured, checked. `warnings` are lines for the user; they stop nothing.

    `unusable` are the profiles that the environment would make, and why each cannot be used: only who asks for one is told
    as of an error, as its variables may be meant for another program.
    """

    profiles: Mapping[str, Profile]
    default: str
    conversation_ttl: float = 14 * 86400.0
    theme: str = ""
    notify: str = "auto"
    keys: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    unusable: Mapping[str, ConfigError] = field(default_factory=dict)

    @property
    def key_variables(self) -> frozenset[str]:
        """The environment variables that hold keys: programs that are started have no need of them."""
        return key_variables(self.profiles)

    def profile(self, name: str = "") -> Profile:
        """The profile of that name, or the default one.

        Raises:
            ConfigError: There is none of that name, or it cannot be used.
        """
        name = name or self.default
        found = self.profiles.get(name)
        if found is None:
            if name in self.unusable:
                raise self.unusable[name]
            import difflib

            near = difflib.get_close_matches(name, self.profiles, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(self.profiles))}"
            raise ConfigError(f"There is no profile {name!r}.", hint=hint)
        return found
