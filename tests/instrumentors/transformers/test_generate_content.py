"""Content of `generate`: decoded on request, with a tokenizer, and only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.openai.clients import attributes
from tests.support.openai.expected_content import answered, content, said
from tests.support.transformer_models import HELLO, LIMITED, SEA, failing, inputs, model, output, tokenizer

if TYPE_CHECKING:
    from tests.support.providers import Recorded


def test_content_is_decoded_with_the_tokenizer_of_the_call(capturing: Recorded) -> None:
    first, second = (tokenizer().decode(ids) for ids in output(HELLO, SEA))
    model("llama").generate(**inputs(HELLO, SEA), tokenizer=tokenizer())
    span = capturing.span()
    assert content(span, "input.messages") == [said("user", HELLO), said("user", SEA)]
    assert content(span, "output.messages") == [
        *answered(first, finish_reason="length"),
        *answered(second, finish_reason="length"),
    ]


def test_the_end_token_is_no_text(capturing: Recorded) -> None:
    (ids,) = output()
    model("llama").generate(**inputs(eos_token_id=ids[2]), tokenizer=tokenizer())
    text = tokenizer().decode(ids[:2])
    assert content(capturing.span(), "output.messages") == answered(text, finish_reason="stop")


def test_without_a_tokenizer_there_is_no_content(capturing: Recorded) -> None:
    model("llama").generate(**inputs())
    assert attributes(capturing.span()) == LIMITED


def test_content_is_off_by_default(instrumented: Recorded) -> None:
    model("llama").generate(**inputs(), tokenizer=tokenizer())
    assert attributes(instrumented.span()) == LIMITED


def test_an_error_message_is_not_in_the_status(capturing: Recorded) -> None:
    with pytest.raises(ValueError, match="secret"):
        failing(ValueError("a secret")).generate(**inputs())
    assert capturing.span().status.description == "ValueError"
