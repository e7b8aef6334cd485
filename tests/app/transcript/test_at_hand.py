"""Turns are asked for once, given up far from the eye, and asked for again."""

from __future__ import annotations

from tests.app.transcript.looking import HEIGHT, Session, all_texts, talk, turn
from tui.app.transcript.at_hand import MOST_TURNS, PAGE
from tui.app.transcript.viewport import Place
from tui.model import TurnStatus


def test_turns_are_asked_for_once_however_often_it_is_painted() -> None:
    session = Session(talk(500), place=Place(250))
    for _ in range(10):
        session.port.update()
        session.port.move(1)
        session.port.move(-1)
    assert len(session.asked) == 1
    (start, until) = session.asked[0]
    assert until - start == PAGE
    assert start < 250 < until


def test_moving_on_while_nothing_comes_neither_loops_nor_asks_twice() -> None:
    session = Session(talk(2000))
    for _ in range(600):
        session.port.move(-50)
    assert session.port.place == Place()
    assert max(session.all_asked.values()) == 1
    for _ in range(1000):
        session.port.move(50)
    assert session.port.place.depth > 1990
    assert max(session.all_asked.values()) == 1
    session.bring()
    assert len(session.port.rows) == HEIGHT


def test_turns_given_up_are_asked_for_again() -> None:
    turns = talk(MOST_TURNS * 2)
    session = Session(turns)
    session.bring()
    for start in range(len(turns) - PAGE, -1, -PAGE):
        session.port.go_to(Place(start))
        session.bring()
        assert len(session.port.at_hand.depths()) <= MOST_TURNS
    assert session.port.at_hand.depths()[0] == 0
    session.port.following = True
    session.port.update()
    session.bring()
    assert session.texts() == all_texts(turns[-40:])[-HEIGHT:]
    assert session.all_asked[len(turns) - 1] == 2


def test_a_turn_that_is_running_is_never_given_up() -> None:
    turns = talk(MOST_TURNS * 2)
    turns[-1] = turn(len(turns) - 1, "running", status=TurnStatus.STREAMING)
    session = Session(turns)
    session.bring()
    for start in range(len(turns) - PAGE, -1, -PAGE):
        session.port.go_to(Place(start))
        session.bring()
    assert session.port.at_hand.depths()[-1] == len(turns) - 1


def test_turns_dropped_before_they_came_are_asked_for_when_they_are_there_again() -> None:
    session = Session(talk(200), place=Place(150))
    session.port.drop_from(100)
    session.asked.clear()
    session.port.open(200, Place(150), following=False)
    session.port.update()
    session.bring()
    assert session.texts()[1] == "Prompt 150"


def test_another_turn_at_the_same_depth_takes_its_place() -> None:
    session = Session(talk(5), at_hand=5)
    session.port.put([turn(4, "a branch", name="branch")])
    session.port.update()
    assert session.texts()[-1] == "a branch"
