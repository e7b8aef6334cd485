"""Values: what Python's own dataclasses do, in less time."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import time
from collections.abc import Callable
from dataclasses import field
from functools import partial
from typing import Any

import pytest

from tui.values import dataclass


def body() -> type:
    """A class that a dataclass is to be made of, a new one each time."""

    class Parcel:
        """What is sent."""

        name: str
        weight: float = 1.5
        notes: tuple[str, ...] = ()
        labels: dict[str, str] = field(default_factory=dict)
        secret: str = field(default="", repr=False)
        place: str = field(default="", compare=False)
        LIMIT = 3

        @property
        def is_heavy(self) -> bool:
            return self.weight > self.LIMIT

    return Parcel


Make = Callable[[type], Any]
OURS: Make = dataclass(frozen=True, slots=True)
PYTHONS: Make = partial(dataclasses.dataclass, frozen=True, slots=True)
Parcel, Own = OURS(body()), PYTHONS(body())


@pytest.mark.parametrize("made", [Parcel, Own], ids=["ours", "Python's"])
class TestAValue:
    def test_has_its_fields_and_defaults(self, made: Any) -> None:
        value = made("book", 4.0, secret="s")
        assert dataclasses.asdict(value) == {
            "name": "book", "weight": 4.0, "notes": (), "labels": {}, "secret": "s", "place": "",
        }  # fmt: skip
        assert value.is_heavy
        assert not hasattr(value, "__dict__")
        assert made("a").labels is not made("b").labels
        assert [one.name for one in dataclasses.fields(made)] == list(made.__match_args__) == list(made.__slots__)

    def test_is_built_of_what_it_has_fields_for(self, made: Any) -> None:
        with pytest.raises(TypeError, match=r"Parcel.__init__\(\) missing 1 required positional argument: 'name'"):
            made()
        with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
            made("book", colour="red")

    def test_is_never_changed(self, made: Any) -> None:
        value = made("book")
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'name'"):
            value.name = "pen"
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'name'"):
            del value.name
        assert dataclasses.replace(value, name="pen", place="desk") == made("pen")
        assert value == made("book")

    def test_equals_by_what_it_says(self, made: Any) -> None:
        assert made("book", place="shelf") == made("book", place="desk")
        assert made("book") != made("book", secret="s")
        assert made("book") != "book"
        assert made("book") != PYTHONS(body())("book")
        assert made("book").__eq__("book") is NotImplemented
        same = dataclasses.replace(made("book"), labels=())  # type: ignore[type-var]
        assert (
            hash(same) == hash(dataclasses.replace(same, place="desk")) != hash(dataclasses.replace(same, secret="s"))
        )
        with pytest.raises(TypeError, match="unhashable"):
            hash(made("book"))

    def test_represents_itself_without_what_is_not_shown(self, made: Any) -> None:
        text = repr(made("book", secret="s"))
        assert text == "body.<locals>.Parcel(name='book', weight=1.5, notes=(), labels={}, place='')"

    def test_is_matched_and_copied(self, made: Any) -> None:
        match made("book", 2.0):
            case made(name, weight=weight):
                assert (name, weight) == ("book", 2.0)
            case _:
                pytest.fail("it is not matched")
        value = made("book", place="desk")
        for twin in (copy.copy(value), copy.deepcopy(value)):
            assert twin == value
            assert twin.place == "desk"


def test_what_a_class_says_of_itself_stands() -> None:
    @dataclass(frozen=True, slots=True)
    class Key:
        """What opens something."""

        teeth: str

        def __repr__(self) -> str:
            return "a key"

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Key) and len(other.teeth) == len(self.teeth)

        def __hash__(self) -> int:
            return len(self.teeth)

    assert (repr(Key("abc")), Key("abc") == Key("xyz"), hash(Key("abc"))) == ("a key", True, 3)


def test_the_first_of_its_kind_is_built_like_the_next() -> None:
    made = OURS(body())
    first, second = made("book", place="shelf"), made("book", place="desk")
    assert first == second
    assert (first.place, second.place) == ("shelf", "desk")
    assert list(inspect.signature(made).parameters) == ["name", "weight", "notes", "labels", "secret", "place"]
    with pytest.raises(TypeError, match=r"Parcel.__init__\(\) missing 1 required"):
        OURS(body())()


def test_one_without_fields() -> None:
    @dataclass(frozen=True, slots=True)
    class Nothing:
        """It says nothing."""

    assert Nothing() == Nothing()
    assert hash(Nothing()) == hash(Nothing())
    assert repr(Nothing()).endswith("Nothing()")


def test_one_that_may_change() -> None:
    @dataclass(slots=True)
    class Pile:
        """What becomes more."""

        height: int = 0
        sheets: list[str] = field(default_factory=list)

    pile = Pile()
    pile.height += 2
    pile.sheets.append("one")
    assert pile == Pile(2, ["one"])
    assert pile != Pile(2, ["two"])
    with pytest.raises(TypeError, match="unhashable"):
        hash(pile)
    with pytest.raises(AttributeError):
        pile.width = 3  # type: ignore[attr-defined]


def test_slots_are_not_left_out() -> None:
    with pytest.raises(TypeError, match="all values have slots"):
        dataclass(frozen=True, slots=False)


def test_it_is_made_in_less_than_a_third_of_the_time() -> None:
    def least(make: Make) -> float:
        spent = []
        for _ in range(20):
            bodies = [body() for _ in range(5)]
            began = time.process_time()
            for plain in bodies:
                make(plain)
            spent.append(time.process_time() - began)
        return min(spent)

    assert least(OURS) < least(PYTHONS) / 3
