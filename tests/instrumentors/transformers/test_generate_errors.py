"""`generate` fails: the exception propagates unchanged, and the span has its class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from opentelemetry.trace import StatusCode

from tests.support.openai.clients import attributes
from tests.support.providers import attribute
from tests.support.transformer_models import BASIC, LIMITED, failing, inputs, model

if TYPE_CHECKING:
    from tests.support.providers import Recorded


def test_an_error_of_the_library(instrumented: Recorded) -> None:
    with pytest.raises(ValueError, match="num_return_sequences"):
        model("llama").generate(**inputs(num_return_sequences=2))
    span = instrumented.span()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError")
    assert attributes(span) == BASIC | {
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.max_tokens": 4,
        "error.type": "ValueError",
    }


def test_out_of_memory_on_an_accelerator_states_the_allocation(instrumented: Recorded) -> None:
    error = torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 8 GiB"
    )
    with pytest.raises(torch.OutOfMemoryError) as raised:
        failing(error, after=2).generate(**inputs())
    assert raised.value is error
    span = instrumented.span()
    assert attribute(span, "error.type") == "torch.OutOfMemoryError"
    assert span.status.description == "OutOfMemoryError tried to allocate 20.00 GiB"


def test_out_of_memory_states_the_allocation(instrumented: Recorded) -> None:
    with pytest.raises(RuntimeError):
        failing(lambda: torch.empty(1 << 50)).generate(**inputs())
    assert instrumented.span().status.description == "RuntimeError tried to allocate 4503599627370496 bytes"


def test_an_interrupt_propagates(instrumented: Recorded) -> None:
    with pytest.raises(KeyboardInterrupt):
        failing(KeyboardInterrupt(), after=2).generate(**inputs())
    assert attribute(instrumented.span(), "error.type") == "KeyboardInterrupt"


def test_a_model_can_be_called_again_after_an_error(instrumented: Recorded) -> None:
    with pytest.raises(KeyboardInterrupt):
        failing(KeyboardInterrupt()).generate(**inputs())
    model("llama").generate(**inputs())
    _, succeeded = instrumented.spans(2)
    assert succeeded.parent is None
    assert attributes(succeeded) == LIMITED
