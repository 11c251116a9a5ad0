"""vLLM's own way in: a plug-in that it loads in all of its processes, for a vLLM that nobody can start under the runner.

Being installed changes nothing: one variable switches it on. Only a process that makes an engine of its own sets the SDK up, if nobody has;
the engine's core and its workers, which vLLM starts, send nothing.
"""

from __future__ import annotations

import logging
import sys

from otel_genai.config import VLLM_PLUGIN
from otel_genai.guard import Guard

_logger = logging.getLogger("otel_genai")
_SWITCHING_ON = Guard("this vLLM is not instrumented")
_SERVICE = "vllm"


def activate() -> None:
    """Instrument this process, if that is wanted. vLLM may call it more than once."""
    with _SWITCHING_ON:
        if VLLM_PLUGIN.read():
            import otel_genai
            from otel_genai.server.cold_start import beforehand

            if "opentelemetry.sdk.trace" in sys.modules:
                from otel_genai.sdk.configure import draw_ids_apart

                draw_ids_apart()
            beforehand(_set_up)
            otel_genai.instrument()


def _set_up() -> None:
    try:
        from otel_genai.runner.children.config import ChildConfig
        from otel_genai.runner.process import Process
        from otel_genai.runner.shutdown.exit import Shutdown
        from otel_genai.sdk import providers

        if not providers.are_set():
            process = Process(ChildConfig(service_name=_SERVICE), Shutdown(None))
            process.set_up()
            process.instrument()
    except Exception as error:
        _logger.warning("%s: no telemetry is sent: %s", VLLM_PLUGIN.variable, error)
        _logger.debug("Details:", exc_info=True)
