"""`generate` keeps its arguments, results and signature, and `instrument()` imports nothing."""

from __future__ import annotations

import copy
import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers import GenerationConfig
from transformers.generation.utils import GenerationMixin

import otel_genai
from tests.support.openai.clients import attributes
from tests.support.transformer_models import HELLO_TOKENS, LIMITED, inputs, model, output

if TYPE_CHECKING:
    from tests.support.providers import Recorded


def test_arguments_are_not_changed(instrumented: Recorded) -> None:
    configuration = GenerationConfig(max_new_tokens=4, eos_token_id=2)
    arguments = inputs(generation_config=configuration)
    del arguments["max_new_tokens"]
    before = copy.deepcopy(arguments)
    model("llama").generate(**arguments)
    assert arguments.keys() == before.keys()
    assert arguments["generation_config"] is configuration
    assert configuration.to_dict() == before["generation_config"].to_dict()
    assert all(torch.equal(arguments[name], before[name]) for name in ("input_ids", "attention_mask"))


def test_random_numbers_are_the_same(instrumented: Recorded) -> None:
    torch.manual_seed(7)
    expected = output(do_sample=True)
    torch.manual_seed(7)
    assert model("llama").generate(**inputs(do_sample=True))[:, HELLO_TOKENS:].tolist() == expected


def test_generate_keeps_its_signature_and_docstring(recorded: Recorded) -> None:
    otel_genai.uninstrument()
    signature, text = inspect.signature(GenerationMixin.generate), GenerationMixin.generate.__doc__
    otel_genai.instrument(**recorded.providers)
    assert inspect.signature(GenerationMixin.generate) == signature
    assert [*inspect.signature(model("llama").generate).parameters] == [*signature.parameters][1:]
    assert GenerationMixin.generate.__doc__ == text
    assert model("llama").can_generate()
    copied = copy.deepcopy(model("llama"))
    copied.generate(**inputs())
    otel_genai.uninstrument()
    assert attributes(recorded.span()) == LIMITED


def test_a_static_cache_and_compiled_steps_give_the_same_output(instrumented: Recorded) -> None:
    settings: dict[str, Any] = {"cache_implementation": "static"}
    if hasattr(transformers, "CompileConfig"):
        settings["compile_config"] = transformers.CompileConfig(backend="eager", fullgraph=False)
        settings["compile_config"]._compile_all_devices = True
    expected = output(**settings)
    torch.compiler.reset()
    ids = model("llama").generate(**inputs(**settings))
    torch.compiler.reset()
    assert ids[:, HELLO_TOKENS:].tolist() == expected
    assert attributes(instrumented.span()) == LIMITED


def test_uninstrument_restores_the_original_functions(recorded: Recorded) -> None:
    otel_genai.uninstrument()
    before = {name: vars(GenerationMixin)[name] for name in ("generate", "_has_unfinished_sequences")}
    otel_genai.instrument(**recorded.providers)
    assert vars(GenerationMixin)["generate"] is not before["generate"]
    otel_genai.uninstrument()
    assert {name: vars(GenerationMixin)[name] for name in before} == before


IMPORTED = """
import sys, otel_genai
otel_genai.{}instrument()
import transformers
print(*sorted({{"torch", "transformers.generation.utils", "transformers.generation.streamers"}} & set(sys.modules)))
"""
PATCHED = """
from transformers import LlamaForCausalLM
transformers.pipeline  # transformers replaces its top-level module for it
print(*(type(vars(base)["generate"]).__name__ for base in LlamaForCausalLM.__mro__ if "generate" in vars(base)))
"""


def printed(script: str) -> list[str]:
    """The lines that a script prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_instrument_imports_nothing_and_instruments_later_imports() -> None:
    (bare,) = printed(IMPORTED.format("un"))
    assert printed(IMPORTED.format("") + PATCHED) == [bare, "_Wrapper"]
