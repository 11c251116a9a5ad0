"""A process that a run has started, from the moment when its first library arrives. It says nothing and raises nothing.

What goes wrong is logged at DEBUG: the process that was started by hand has had the same settings, and said what is wrong with them.
"""

from __future__ import annotations

import logging

from otel_genai.runner import children
from otel_genai.runner.imports import no_collections
from otel_genai.runner.way_out import WayOut

_logger = logging.getLogger("otel_genai")


def begin() -> None:
    """Instrument this process, unless it is a run itself."""
    if children.is_disowned():
        return
    try:
        with no_collections():
            from otel_genai.runner.inherited_trace import take
            from otel_genai.runner.process import Process

            told = children.inherited(trace=take())
            process = Process(told, WayOut(None, child=True))
            process.set_up(child=True)
            process.instrument()
    except Exception:
        _logger.debug("This child is not instrumented.", exc_info=True)
