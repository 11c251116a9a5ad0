"""Runs a program in this process, with telemetry around it.

The order matters. The program is located before the SDK is set up, and instrumented before the import of its first GenAI library.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from otel_genai.instrumentors.import_hook import before_import
from otel_genai.runner.children import config as children
from otel_genai.runner.errors import CannotRunError, EndedBySignalError, ExtraMissingError
from otel_genai.runner.gc_pause import gc_paused
from otel_genai.runner.options import Options
from otel_genai.runner.shutdown.exit import Shutdown
from otel_genai.runner.target.become import become
from otel_genai.sdk.environment import CannotConfigureError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_genai.runner.target.become import Target

__all__ = ["CannotRunError", "ExtraMissingError", "Options", "run"]


def run(target: Target, options: Options) -> int:
    """Run the target in this process and return 0; its exits and its errors pass unchanged.

    Raises CannotRunError or ExtraMissingError before any code of the target has run.
    """
    children.ignore_inherited()
    target.locate()
    if options.summary and find_spec("rich") is None:
        raise ExtraMissingError
    try:
        with gc_paused():
            from otel_genai.runner.process import Process, awaited_modules
            from otel_genai.runner.summary.output import RunOutput
    except ImportError as error:
        raise ExtraMissingError from error
    scratch = Path(os.environ.get("TMPDIR") or "/tmp", f"otel-genai-{os.getpid()}-{os.urandom(6).hex()}")  # noqa: S108
    output = RunOutput(options, scratch)
    shutdown = Shutdown(output.write if options.summary or options.report else None)
    try:
        with gc_paused():
            options.apply(scratch)
            config = children.ChildConfig(
                service_name=options.service_name or target.name,
                third_party=_third_party(options.third_party),
                calls_folder=os.fspath(scratch) if options.summary else None,
                trace_headers=_trace_headers(),
            )
            process = Process(config, shutdown, output.collector)
            modules = process.set_up()
        if options.children:
            children.export_to_children(config, modules=modules)
        else:
            children.hide_from_children()
        before_import(awaited_modules(), process.instrument)
        become(target)
    except CannotConfigureError as error:
        shutdown.cancel_output()
        raise CannotRunError(str(error)) from error
    except CannotRunError:
        shutdown.cancel_output()
        raise
    except KeyboardInterrupt:
        shutdown.interrupted = True
        raise
    except EndedBySignalError as ended:
        shutdown.exit_by_signal(ended.number)
    return 0


def _third_party(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        return ()
    from otel_genai.runner.third_party import chosen

    return chosen(names)


def _trace_headers() -> Mapping[str, str] | None:
    if "TRACEPARENT" not in os.environ:
        return None
    from otel_genai.runner.traceparent import take_headers

    return take_headers()
