"""The catalogue and the tests agree."""

from tests.faults import catalogue, claimed, reasons


def test_every_named_row_is_in_the_catalogue() -> None:
    assert not set(claimed()) - set(catalogue())
    assert not set(reasons()) - set(catalogue())


def test_every_row_has_a_test_or_a_reason_for_having_none() -> None:
    assert not set(catalogue()) - set(claimed()) - set(reasons())
    assert all(reasons().values())
