"""One call of `generate`: its arguments, and the configurations that complete them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_genai.instrumentors.transformers.decoding import tokenizer_of

if TYPE_CHECKING:
    from otel_genai.endpoint.arguments import Arguments

POSITIONS: Final = (
    "inputs",
    "generation_config",
    "logits_processor",
    "stopping_criteria",
    "prefix_allowed_tokens_fn",
    "synced_gpus",
    "assistant_model",
    "streamer",
)
"""Parameters that `generate` takes by position, too."""
_DEFAULT_LENGTH: Final = 20
"""New tokens without a limit: in 4.x `max_length` of every configuration, in 5.x `GenerationConfig._get_default_generation_params`."""


class Generation:
    """The arguments of one call of `generate`. Tensors are read, never changed."""

    def __init__(self, arguments: Arguments) -> None:
        self.model = arguments.instance
        self.named: dict[str, Any] = arguments.by_name(POSITIONS)

    def setting(self, name: str) -> Any:
        """A generation parameter: of the call, its configuration, the model's, or the library's default; `None` if it is set nowhere."""
        if name in self.named:
            return self.named[name]
        configurations = [self.named.get("generation_config"), getattr(self.model, "generation_config", None)]
        for configuration in configurations:
            value = getattr(configuration, name, None)
            if value is not None:
                return value
        defaults: Any = getattr(configurations[-1], "_get_default_generation_params", dict)
        return defaults().get(name)

    def number(self, name: str) -> Any:
        """A generation parameter, if it is a number."""
        value = self.setting(name)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def token_ids(self, name: str) -> tuple[int, ...]:
        """The token ids of a generation parameter that holds one or several."""
        value = self.setting(name)
        value = value.tolist() if hasattr(value, "tolist") else value
        return () if value is None else tuple(value) if isinstance(value, list | tuple) else (int(value),)

    # ── the prompt ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the prompt goes to an encoder; then the returned ids do not repeat it."""
        return bool(getattr(self.model.config, "is_encoder_decoder", False))

    @property
    def prompt(self) -> Any | None:
        """The prompt's token ids, `(batch, length)`; `None` if the prompt is empty or of embeddings, audio or images."""
        main = getattr(self.model, "main_input_name", "input_ids")
        for name in ("inputs", main, "input_ids"):
            tensor = self.named.get(name)
            if _is_ids(tensor):
                return tensor
        return None

    @property
    def mask(self) -> Any | None:
        """The caller's attention mask, `(batch, length)`: 0 is padding. `None` without one."""
        mask = self.named.get("attention_mask")
        return mask if getattr(mask, "ndim", None) == 2 else None

    def prompt_tokens(self) -> int | None:
        """Tokens of all prompts without padding; `None` if the prompts have no tokens."""
        prompt = self.prompt if self.prompt is not None else self.named.get("inputs_embeds")
        if prompt is None:
            return 1 if self._starts_unprompted() else None
        return int(prompt.shape[0] * prompt.shape[1] if self.mask is None else self.mask.sum())

    def _starts_unprompted(self) -> bool:
        # Without any input `generate` makes one sequence, from the token that begins every sequence.
        main = getattr(self.model, "main_input_name", "input_ids")
        return not self.is_encoder_decoder and all(self.named.get(name) is None for name in ("inputs", main))

    def prefix(self, sequences: Any) -> int:
        """How many tokens at the head of each returned row, `(rows, length)`, are no output."""
        if self.is_encoder_decoder:
            beginning = self.named.get("decoder_input_ids")
            if beginning is None:
                return 1
            # transformers puts the decoder's start token before the caller's ids, unless they begin with it.
            return int(beginning.shape[1]) + int(beginning[0, 0].item() != sequences[0, 0].item())
        if self.prompt is not None:
            return int(self.prompt.shape[1])
        return 0 if self.named.get("inputs_embeds") is not None else 1

    # ── the length ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def requested_length(self) -> int | None:
        """The caller's limit of new tokens a sequence, without the prompt; `None` without a limit."""
        new = self.number("max_new_tokens")
        if new is not None:
            return int(new)
        whole = self.number("max_length")
        if whole is None or (whole == _DEFAULT_LENGTH and "max_length" not in self.named):
            return None
        prompt = None if self.is_encoder_decoder else self.prompt
        return int(whole) if prompt is None else max(int(whole) - int(prompt.shape[1]), 0)

    @property
    def length(self) -> int:
        """The limit of new tokens a sequence: the caller's, or the library's default."""
        requested = self.requested_length()
        return _DEFAULT_LENGTH if requested is None else requested

    @property
    def may_stop_early(self) -> bool:
        """Whether a sequence may end before its limit without an end token."""
        return bool(self.setting("stop_strings")) or bool(self.named.get("stopping_criteria"))

    def takes_one_token_a_step(self) -> bool:
        """Whether each step adds one token. Beams are chosen at the end, and assistants propose several tokens at once."""
        assisted = ("assistant_model", "assistant_early_exit", "prompt_lookup_num_tokens")
        return self.number("num_beams") in {None, 1} and not any(self.setting(name) for name in assisted)

    # ── text ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def tokenizer(self) -> Any | None:
        """An object with `decode`: the argument `tokenizer`, the streamer's, or the model's if one is known."""
        for tokenizer in (self.named.get("tokenizer"), getattr(self.named.get("streamer"), "tokenizer", None)):
            if hasattr(tokenizer, "decode"):
                return tokenizer
        return tokenizer_of(self.model)


def _is_ids(tensor: Any) -> bool:
    return getattr(tensor, "ndim", None) == 2 and not tensor.is_floating_point()
