"""Engines of the vLLM stub, and what tests read of their spans."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from otel_genai.instrumentors.vllm.instrumentor import VllmInstrumentor
from tests.support.vllm.stub import OutputKind, SamplingParams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.providers import Recorded

DELTA = SamplingParams(output_kind=OutputKind.DELTA)
HEADERS = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


@contextmanager
def instrumented_vllm(recorded: Recorded) -> Iterator[Recorded]:
    """VLLM instrumented, as by `otel_genai.instrument()` where it is installed."""
    VllmInstrumentor().instrument(skip_dep_check=True, **recorded.providers)
    yield recorded
    VllmInstrumentor().uninstrument()


def _engine(module: str, name: str, **options: Any) -> Any:
    # The module is imported now, as in an application that is instrumented first.
    import_module("vllm.v1.engine.output_processor")
    return getattr(import_module(f"vllm.v1.engine.{module}"), name)(**options)


def llm_engine(**options: Any) -> Any:
    return _engine("llm_engine", "LLMEngine", **options)


def async_llm(**options: Any) -> Any:
    return _engine("async_llm", "AsyncLLM", **options)


def llm() -> Any:
    return import_module("vllm.entrypoints.llm").LLM(llm_engine())


def without_times(span: Any) -> dict[str, Any]:
    """The attributes of a span without its times."""
    return {name: value for name, value in span.attributes.items() if not name.startswith("otel_genai.")}
