"""Become the user's program, with telemetry around it. This room is the only one that imports the OpenTelemetry SDK.

The order is the point: what is to be run is found first, then the SDK is set up, then the program runs, and is
instrumented when its first GenAI library arrives.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from otel_genai.instrumentors.arrival import on_arrival
from otel_genai.runner import children
from otel_genai.runner.arrival import waited_for
from otel_genai.runner.imports import no_collections
from otel_genai.runner.options import Options
from otel_genai.runner.target import CannotRunError, EndedBySignalError, become
from otel_genai.runner.way_out import WayOut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_genai.runner.target import Target

__all__ = ["CannotRunError", "ExtraMissingError", "Options", "run"]


class ExtraMissingError(Exception):
    """A package of the extra `run` is missing."""


def run(target: Target, options: Options) -> int:
    """Run the target in this process and return 0; its exits and its errors pass unchanged.

    Raises CannotRunError or ExtraMissingError before anything of the target has run.
    """
    children.disown()
    target.locate()
    if options.summary and find_spec("rich") is None:
        raise ExtraMissingError
    try:
        with no_collections():
            from otel_genai.runner.conclusion import Conclusion
            from otel_genai.runner.process import Process
    except ImportError as error:
        raise ExtraMissingError from error
    scratch = Path(os.environ.get("TMPDIR") or "/tmp", f"otel-genai-{os.getpid()}-{os.urandom(6).hex()}")  # noqa: S108
    conclusion = Conclusion(options, scratch)
    way_out = WayOut(conclusion.draw if options.summary or options.report else None)
    try:
        with no_collections():
            options.apply(scratch)
            inheritance = children.Inheritance(
                service_name=options.service_name or target.name,
                others=_others(options.others),
                tally=os.fspath(scratch) if options.summary else None,
                trace=_trace(),
            )
            process = Process(inheritance, way_out, conclusion.report)
            for_children = process.set_up()
        if options.children:
            children.hand_down(inheritance, waited_for=for_children)
        else:
            children.withhold()
        on_arrival(waited_for(), process.instrument)
        become(target)
    except CannotRunError:
        way_out.forgo()
        raise
    except KeyboardInterrupt:
        way_out.interrupted = True
        raise
    except EndedBySignalError as ended:
        way_out.end_by(ended.number)
    return 0


def _others(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        return ()
    from otel_genai.runner.other_instrumentors import chosen

    return chosen(names)


def _trace() -> Mapping[str, str] | None:
    if "TRACEPARENT" not in os.environ:
        return None
    from otel_genai.runner.inherited_trace import take

    return take()
