"""Become the user's program, with telemetry around it. This room is the only one that imports the OpenTelemetry SDK.

The order is the point: what is to be run is found first, then the SDK is set up, then the program runs, and is
instrumented when its first GenAI library arrives.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from otel_genai.instrumentors.import_hook import before_import
from otel_genai.runner.awaited_modules import waited_for
from otel_genai.runner.children import config as children
from otel_genai.runner.gc_pause import gc_paused
from otel_genai.runner.options import Options
from otel_genai.runner.shutdown.exit import Shutdown
from otel_genai.runner.target.become import CannotRunError, EndedBySignalError, become

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_genai.runner.target.become import Target

__all__ = ["CannotRunError", "ExtraMissingError", "Options", "run"]


class ExtraMissingError(Exception):
    """A package of the extra `run` is missing."""


def run(target: Target, options: Options) -> int:
    """Run the target in this process and return 0; its exits and its errors pass unchanged.

    Raises CannotRunError or ExtraMissingError before anything of the target has run.
    """
    children.ignore_inherited()
    target.locate()
    if options.summary and find_spec("rich") is None:
        raise ExtraMissingError
    try:
        with gc_paused():
            from otel_genai.runner.process import Process
            from otel_genai.runner.summary.output import RunOutput
    except ImportError as error:
        raise ExtraMissingError from error
    scratch = Path(os.environ.get("TMPDIR") or "/tmp", f"otel-genai-{os.getpid()}-{os.urandom(6).hex()}")  # noqa: S108
    conclusion = RunOutput(options, scratch)
    way_out = Shutdown(conclusion.draw if options.summary or options.report else None)
    try:
        with gc_paused():
            options.apply(scratch)
            inheritance = children.ChildConfig(
                service_name=options.service_name or target.name,
                others=_others(options.others),
                tally=os.fspath(scratch) if options.summary else None,
                trace=_trace(),
            )
            process = Process(inheritance, way_out, conclusion.report)
            for_children = process.set_up()
        if options.children:
            children.export_to_children(inheritance, waited_for=for_children)
        else:
            children.hide_from_children()
        before_import(waited_for(), process.instrument)
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
    from otel_genai.runner.third_party import chosen

    return chosen(names)


def _trace() -> Mapping[str, str] | None:
    if "TRACEPARENT" not in os.environ:
        return None
    from otel_genai.runner.traceparent import take

    return take()
