"""Rows of an engine's class: the statistics that a method reports, and an argument that is set for it."""

from __future__ import annotations

import gc
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest

from otel_genai.endpoint.server_rows import ArgumentRow, StatsRow
from otel_genai.guard import Guard
from otel_genai.patching.patches import Patches
from tests.support.engine_metrics import RUNNING, stats, telemetry, values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_genai.endpoint.arguments import Arguments
    from otel_genai.operation import EngineStats
    from tests.support.providers import Recorded


class Toy:
    """An engine's class in a library."""

    def __init__(self, name: str, keeps: bool = False, *rest: Any, verbose: bool = False) -> None:
        self.arguments = (name, keeps, rest, verbose)

    def record(self, running: int) -> int:
        return running + 1


def stats_of(arguments: Arguments) -> EngineStats | None:
    (running,) = arguments.args
    return None if running < 0 else stats(running=running)


@pytest.fixture
def library() -> Iterator[Any]:
    module = types.ModuleType("toy_library")
    # A class of its own for every test.
    module.Toy = type("Toy", (), {name: vars(Toy)[name] for name in ("__init__", "record")})  # type: ignore[attr-defined]
    sys.modules["toy_library"] = module
    yield module
    del sys.modules["toy_library"]


STATS = StatsRow(module="toy_library", target="Toy.record", read=stats_of)


def patched(recorded: Recorded, *rows: Any) -> Patches:
    patches = Patches(rows, lambda: telemetry(recorded))
    patches.apply()
    return patches


def test_a_stats_row_reports_what_its_reader_returns(library: Any, recorded: Recorded) -> None:
    patches = patched(recorded, STATS)
    engine = library.Toy("a")
    assert engine.record(4) == 5
    assert values(recorded, RUNNING) == {("m", 0): 4}
    engine.record(-1)
    assert values(recorded, RUNNING) == {("m", 0): 4}
    patches.revert()
    engine.record(6)
    assert values(recorded, RUNNING) == {}


def test_the_engine_is_the_methods_instance_and_is_not_kept_alive(library: Any, recorded: Recorded) -> None:
    patches = patched(recorded, STATS)
    library.Toy("a").record(4)
    gc.collect()
    assert values(recorded, RUNNING) == {}
    patches.revert()


def test_an_error_of_the_reader_does_not_reach_the_engine(
    library: Any, recorded: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Guard, "strict", False)
    patches = patched(recorded, StatsRow(module="toy_library", target="Toy.record", read=lambda _: 1 / 0))  # type: ignore[arg-type, return-value]
    assert library.Toy("a").record(4) == 5
    patches.revert()
    assert "the metrics lack part of an engine's load" in caplog.text


DEFAULT = ArgumentRow(module="toy_library", target="Toy.__init__", parameter="keeps", value=True)


@pytest.mark.parametrize(
    ("args", "kwargs", "received"),
    [
        (("a",), {}, ("a", True, (), False)),
        (("a",), {"keeps": False, "verbose": True}, ("a", True, (), True)),
        (("a", False, "rest"), {}, ("a", True, ("rest",), False)),
        ((), {"name": "a"}, ("a", True, (), False)),
    ],
)
def test_an_argument_is_set_by_position_and_by_keyword(
    library: Any, recorded: Recorded, args: tuple[Any, ...], kwargs: dict[str, Any], received: Any
) -> None:
    before = dict(kwargs)
    patches = patched(recorded, DEFAULT)
    assert library.Toy(*args, **kwargs).arguments == received
    assert kwargs == before
    patches.revert()
    assert library.Toy("a").arguments == ("a", False, (), False)


def test_an_argument_that_a_version_lacks_is_one_warning(
    library: Any, recorded: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Guard, "strict", False)
    row = ArgumentRow(module="toy_library", target="Toy.__init__", parameter="gone", value=True)
    patches = patched(recorded, row)
    assert library.Toy("a").arguments == ("a", False, (), False)
    patches.revert()
    (record,) = caplog.records
    assert "Toy.__init__ of toy_library is not instrumented" in record.getMessage()


def test_two_rows_of_one_target_are_both_reverted(library: Any, recorded: Recorded) -> None:
    before = vars(library.Toy)["record"]
    patched(recorded, STATS, STATS).revert()
    assert vars(library.Toy)["record"] is before
