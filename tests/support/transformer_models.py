"""Tiny models of transformers: real architectures, random weights, made without downloads."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.support.tiny_model import tiny_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported

import torch
import transformers
from opentelemetry.instrumentation.utils import suppress_instrumentation

torch.set_num_threads(1)  # such models gain nothing from more, and other tests may be running

_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
}
_T5_SIZES: dict[str, Any] = {"d_model": 32, "d_ff": 64, "d_kv": 16, "num_layers": 2, "num_heads": 2}
_CLASSES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", "LlamaForCausalLM", _SIZES),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", _SIZES),
    "t5": ("T5Config", "T5ForConditionalGeneration", _T5_SIZES),
}
DECODERS = ("llama", "qwen2")
ENCODER_DECODER = "t5"

HELLO = "Hello, world!"
HELLO_TOKENS = 10
SEA = "Tell me something about the sea"
SEA_TOKENS = 6

BASIC = {
    "gen_ai.operation.name": "text_completion",
    "gen_ai.provider.name": "huggingface",
    "gen_ai.request.model": "tiny/llama",
}
LIMITED = BASIC | {
    "gen_ai.request.max_tokens": 4,
    "gen_ai.response.finish_reasons": ("length",),
    "gen_ai.usage.input_tokens": HELLO_TOKENS,
    "gen_ai.usage.output_tokens": 4,
}
"""The attributes of the Llama's `generate(**inputs())`."""


@cache
def tokenizer() -> Any:
    """The tokenizer of all models."""
    return tiny_tokenizer()


def make(architecture: str) -> Any:
    """A new model named `tiny/<architecture>`. Its greedy output is the same in every run and has no end token."""
    config_class, model_class, sizes = _CLASSES[architecture]
    tokens = tokenizer()
    config = getattr(transformers, config_class)(
        vocab_size=len(tokens),
        bos_token_id=tokens.bos_token_id,
        eos_token_id=tokens.eos_token_id,
        pad_token_id=tokens.pad_token_id,
        decoder_start_token_id=tokens.pad_token_id if architecture == ENCODER_DECODER else None,
        **sizes,
    )
    config._name_or_path = f"tiny/{architecture}"
    with torch.random.fork_rng():
        torch.manual_seed(20260)
        model = getattr(transformers, model_class)(config).eval()
    with torch.no_grad():
        for never in (tokens.eos_token_id, tokens.pad_token_id):
            model.lm_head.weight[never] = 0  # a logit of 0 is never the greatest
    return model


@cache
def model(architecture: str) -> Any:
    """The model of this architecture, made once a process. Do not change it."""
    return make(architecture)


def save(architecture: str, folder: Path) -> Path:
    """Save a model and its tokenizer in `folder`."""
    make(architecture).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def encoded(*texts: str) -> Any:
    """Token ids and attention mask, each `(texts, length)`, padded on the left."""
    return tokenizer()(list(texts), return_tensors="pt", padding=True, padding_side="left")


def inputs(*texts: str, **settings: Any) -> dict[str, Any]:
    """Arguments of `generate` for these texts, or `HELLO`: four new tokens."""
    return {**encoded(*(texts or (HELLO,))), "max_new_tokens": 4, **settings}


def output(*texts: str, architecture: str = "llama", **settings: Any) -> list[list[int]]:
    """The output ids of a decoder for `inputs(…)`, `(texts, tokens)`; its call is not instrumented."""
    arguments = inputs(*texts, **settings)
    with suppress_instrumentation():
        ids: list[list[int]] = model(architecture).generate(**arguments)[:, arguments["input_ids"].shape[1] :].tolist()
    return ids


def failing(error: BaseException | Callable[[], object], *, after: int = 0) -> Any:
    """A Llama that raises `error`, or calls it, in the step after `after` tokens."""
    broken = make("llama")
    calls = iter(range(after))

    def fail(*_: Any) -> None:
        if next(calls, None) is None:
            if isinstance(error, BaseException):
                raise error
            error()

    broken.model.register_forward_pre_hook(fail)
    return broken
