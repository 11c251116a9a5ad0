"""Become the user's script, with telemetry around it. This room is the only one that imports the OpenTelemetry SDK.

The order is the point: what is to be run is found first, then the SDK is set up, then the script runs, and is
instrumented when its first GenAI library arrives.
"""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from otel_genai.guard import Guard
from otel_genai.runner.arrival import on_arrival
from otel_genai.runner.target import CannotRunError, Target, become
from otel_genai.runner.way_out import WayOut

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CannotRunError", "ExtraMissingError", "run"]

_INSTRUMENTING = Guard("this run is not instrumented")


class ExtraMissingError(Exception):
    """A package of the extra `run` is missing."""


def run(target: Target, *, summary: bool) -> int:
    """Run the target in this process and return 0; its exits and its errors pass unchanged.

    Raises CannotRunError or ExtraMissingError before anything of the target has run.
    """
    target.locate()
    if summary and find_spec("rich") is None:
        raise ExtraMissingError
    try:
        with _no_collections():
            from otel_genai.runner import sdk
            from otel_genai.runner.report import Report
    except ImportError as error:
        raise ExtraMissingError from error
    report = Report() if summary else None
    way_out = WayOut(report.print if report else None)
    try:
        with _no_collections():
            providers = sdk.configure(target.name)

        def instrument() -> None:
            import otel_genai

            with _INSTRUMENTING, _no_collections():
                otel_genai.instrument()
                if report:
                    report.attend()

        def flush() -> None:
            # Where nothing was instrumented, nothing is open, and this is no time to import.
            if call := sys.modules.get("otel_genai.call.call"):
                call.finish_open_streams()
            sdk.flush(providers)

        on_arrival(instrument)

        way_out.flush_on_sigterm(flush)
        become(target)
    except CannotRunError:
        way_out.forgo()
        raise
    return 0


@contextmanager
def _no_collections() -> Iterator[None]:
    # Importing allocates much and frees nothing: collections in between cost a sixth of our start-up and find no garbage.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
