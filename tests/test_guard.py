"""Errors of this package do not reach the application. A guard logs its first error at WARNING, and the others at DEBUG."""

from __future__ import annotations

import logging

import pytest

from otel_genai.guard import Guard


@pytest.mark.usefixtures("_lenient")
def test_the_first_error_is_a_warning_that_names_the_loss(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard("the toast is not buttered")
    with guard:
        raise ValueError("no butter")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "otel-genai met an error of its own; your application is not affected, but the toast is not buttered"
    )
    assert record.exc_info is not None


@pytest.mark.usefixtures("_lenient")
def test_later_errors_are_logged_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard("nothing")
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            with guard:
                raise ValueError
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG", "DEBUG"]


@pytest.mark.usefixtures("_lenient")
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_exits_and_interrupts_of_the_application_propagate(error: type[BaseException]) -> None:
    with pytest.raises(error), Guard("nothing"):
        raise error


def test_under_test_errors_propagate() -> None:
    with pytest.raises(ValueError, match="red"), Guard("nothing"):
        raise ValueError("red")
