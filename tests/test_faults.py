"""The catalogue and the tests agree."""

from tests.faults import catalogue, claimed, reasons


def test_every_named_row_is_in_the_catalogue() -> None:
    assert not set(claimed()) - set(catalogue())
    assert not set(reasons()) - set(catalogue())
