"""Dataclasses that are quickly made, since all of them are made anew whenever the program starts.

Python's own has six functions written and compiled for each class, which takes a millisecond: a seventh of a start was
spent on it. Here one is, the constructor, once it is needed; the others are the same for all. What a checker sees is
Python's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter

__all__ = ["dataclass"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    # typing is not needed to run, and `palaver --version` goes without it.
    from dataclasses import dataclass
    from typing import Any
else:

    def dataclass(*, frozen: bool = False, slots: bool) -> Callable[[type], type]:
        """What makes a dataclass with slots of a class that has fields, defaults, and no bases with fields of their own.

        It has an equality, a hash where it is frozen, and a representation, unless the class brings its own.

        Raises:
            TypeError: It is to have no slots.
        """
        if not slots:
            raise TypeError("all values have slots")
        return lambda plain: _made(plain, frozen=frozen)


def _made(plain: type, *, frozen: bool) -> type:
    made: type = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(plain)
    fields = dataclasses.fields(made)
    is_equal, hashed = _comparison([field.name for field in fields if field.compare])
    shared: dict[str, Any] = {"__eq__": is_equal, "__hash__": hashed if frozen else None, "__repr__": _representation}
    if frozen:
        shared |= {
            "__setattr__": _refuse_to_set,
            "__delattr__": _refuse_to_delete,
            "__getstate__": _state,
            "__setstate__": _set_state,
        }
    own = plain.__dict__
    for name, value in shared.items():
        if name not in own:
            setattr(made, name, value)
    setattr(made, "__init__", _first(made, frozen=frozen))  # noqa: B010 - no assignment a checker allows
    return made


def _first(made: type, *, frozen: bool) -> Callable[..., None]:
    """What stands for the constructor until there is a first value: of many classes a start makes none."""

    def construct(self: Any, *values: Any, **named: Any) -> None:
        constructor = _constructor(made, frozen=frozen)
        setattr(made, "__init__", constructor)  # noqa: B010 - as above
        constructor(self, *values, **named)

    return construct


def _constructor(made: type, *, frozen: bool) -> Callable[..., None]:
    """Its text names defaults, factories and, where attributes cannot be set, the slots' own setters."""
    known: dict[str, Any] = {"MISSING": dataclasses.MISSING}
    parameters, body = ["self"], []
    for field in dataclasses.fields(made):
        name, value = field.name, field.name
        if field.default is not dataclasses.MISSING:
            known[f"default_{name}"] = field.default
            parameters.append(f"{name}=default_{name}")
        elif field.default_factory is not dataclasses.MISSING:
            known[f"factory_{name}"] = field.default_factory
            parameters.append(f"{name}=MISSING")
            value = f"factory_{name}() if {name} is MISSING else {name}"
        else:
            parameters.append(name)
        if frozen:
            known[f"set_{name}"] = getattr(made, name).__set__
            body.append(f"    set_{name}(self, {value})")
        else:
            body.append(f"    self.{name} = {value}")
    text = f"def __init__({', '.join(parameters)}):\n" + ("\n".join(body) or "    pass")
    exec(text, known)  # noqa: S102 - names of fields only, which are in our own source
    constructor: Callable[..., None] = known["__init__"]
    constructor.__qualname__ = f"{made.__qualname__}.__init__"
    return constructor


def _comparison(names: list[str]) -> tuple[Callable[[Any, Any], Any], Callable[[Any], int]]:
    """Whether two values are equal in these fields, and the hash of one."""
    compared: Callable[[Any], Any] = attrgetter(*names) if names else lambda _value: ()

    def is_equal(self: Any, other: Any) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self is other or bool(compared(self) == compared(other))

    return is_equal, lambda self: hash(compared(self))


def _representation(self: Any) -> str:
    shown = [field.name for field in dataclasses.fields(self) if field.repr]
    return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


def _refuse_to_set(_self: Any, name: str, _value: Any) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)
