"""Which way a value takes to a histogram: the API's `bind`, the SDK's aggregation in proven versions, or the API value by value."""

from __future__ import annotations

import logging
import re
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otel_genai.config import Config
from otel_genai.telemetry import bound
from otel_genai.telemetry.bound import PROVEN_SDKS, BoundHistogram, bind, direct_way_is_proven
from otel_genai.telemetry.instruments import Instruments
from tests.support.bound_histograms import AT_NS, CHAT, NO_SPAN, Metrics, cumulative

if TYPE_CHECKING:
    from collections.abc import Iterator

MAKEFILE = Path(__file__).parents[2] / "Makefile"


@pytest.fixture(autouse=True)
def _determined_again() -> Iterator[None]:
    direct_way_is_proven.cache_clear()
    yield
    direct_way_is_proven.cache_clear()


def installed_sdk(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(bound, "version", lambda _: version)


def free_threaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: True, raising=False)
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: 1 if name == "Py_GIL_DISABLED" else None)


def test_the_makefile_proves_the_versions_of_the_direct_way_and_no_others() -> None:
    (listed,) = re.findall(r"^PROVEN_SDKS := (.+)$", MAKEFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(listed.split()) == PROVEN_SDKS


def test_a_proven_sdk_is_written_directly(recorded_by_api: list[float]) -> None:
    found = Metrics(cumulative())
    bind(found.histogram, CHAT, NO_SPAN, direct=True).record([1.0, 2.0, 4.0], NO_SPAN, AT_NS)
    assert recorded_by_api == [1.0]


@pytest.mark.parametrize("version", ["1.40.0", "1.45.3", "1.46.0", "2.0.0"])
def test_an_unknown_sdk_gets_each_value_through_the_api_and_one_debug_line(
    version: str, recorded_by_api: list[float], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")
    installed_sdk(monkeypatch, version)
    found = Metrics(cumulative())
    for attributes in (CHAT, {}):
        bind(found.histogram, attributes, NO_SPAN, direct=True).record([1.0, 2.0, 4.0], NO_SPAN, AT_NS)
    assert recorded_by_api == [1.0, 2.0, 4.0] * 2
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (
        logging.DEBUG,
        f"Metrics go through OpenTelemetry's API: opentelemetry-sdk {version} is not a tested version",
    )


def test_a_build_without_a_gil_gets_each_value_through_the_api(
    recorded_by_api: list[float], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")
    free_threaded(monkeypatch)
    bind(Metrics(cumulative()).histogram, CHAT, NO_SPAN, direct=True).record([1.0, 2.0], NO_SPAN, AT_NS)
    assert recorded_by_api == [1.0, 2.0]
    assert [record.getMessage() for record in caplog.records] == [
        "Metrics go through OpenTelemetry's API: this build of Python has no GIL"
    ]


def test_without_an_sdk_nothing_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "otel_genai")

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(bound, "version", missing)
    assert not direct_way_is_proven()
    assert not caplog.records


@pytest.mark.parametrize(("value", "through_api"), [("true", 1), ("false", 3)])
def test_a_setting_switches_the_direct_way_off(
    value: str, through_api: int, recorded_by_api: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config.from_environment({"OTEL_GENAI_BOUND_METRICS": value})
    bind(Metrics(cumulative()).histogram, CHAT, NO_SPAN, direct=config.bound_metrics).record(
        [1.0, 2.0, 4.0], NO_SPAN, AT_NS
    )
    assert len(recorded_by_api) == through_api


@pytest.mark.parametrize("value", ["true", "false"])
def test_the_setting_reaches_the_instruments(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from otel_genai.operation import Side
    from otel_genai.semconv.metrics import Measure

    metrics = Metrics(cumulative())
    config = Config.from_environment({"OTEL_GENAI_BOUND_METRICS": value})
    instruments = Instruments("toy", "1", config, metrics.provider)
    instruments.create_sinks(Side.CLIENT, inference=True)
    ((instrument, _),) = instruments.bound_to(CHAT, (Side.CLIENT, True))[Measure.DURATION]
    assert isinstance(instrument, BoundHistogram) is (value == "true")


class Api:
    """An instrument of an API with `bind`, as opentelemetry-python#5450 proposes it."""

    def __init__(self, method: str) -> None:
        self.recorded: list[tuple[float, Any, Any]] = []
        self.bound: list[Any] = []
        setattr(self, method, lambda amount, attributes=None, context=None: self._write(amount, attributes, context))
        self._method = method

    def _write(self, amount: float, attributes: Any, context: Any) -> None:
        self.recorded.append((amount, attributes, context))

    def bind(self, attributes: Any) -> Any:
        self.bound.append(attributes)
        write = type("Bound", (), {})()
        setattr(write, self._method, lambda amount, context=None: self._write(amount, attributes, context))
        return write


@pytest.mark.parametrize("method", ["record", "add"])
def test_the_apis_own_bind_is_used_where_a_version_has_it(method: str) -> None:
    instrument, context = Api(method), object()
    writer = bind(instrument, CHAT, NO_SPAN, direct=True)
    writer.record([1, 4, 2], context, AT_NS)
    writer.record([8], NO_SPAN, AT_NS)
    assert instrument.bound == [CHAT]
    assert instrument.recorded == [(1, CHAT, NO_SPAN), (4, CHAT, context), (2, CHAT, NO_SPAN), (8, CHAT, NO_SPAN)]


def test_a_bind_with_other_methods_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    instrument = Api("record")
    monkeypatch.setattr(instrument, "bind", lambda _: object())
    bind(instrument, CHAT, NO_SPAN, direct=False).record([1], NO_SPAN, AT_NS)
    assert instrument.recorded == [(1, CHAT, NO_SPAN)]
