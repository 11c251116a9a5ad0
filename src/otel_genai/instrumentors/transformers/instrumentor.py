"""Hugging Face transformers 4.48 and later: the table of instrumented functions.

Rows name the modules that define the classes. These are loaded once, while the library replaces its top-level module in a session
(transformers 5.23 `utils/import_utils.py`, `direct_transformers_import`).
"""

from __future__ import annotations

from typing import ClassVar, Final

from otel_genai.endpoint.rows import AsgiAppRow, CallRow, Handoff, Maker, News, PhaseRow, StepRow
from otel_genai.instrumentors.instrumentor import Instrumentor
from otel_genai.semconv import gen_ai, otel_genai

_MODELS: Final = "transformers.modeling_utils"
_BATCHING: Final = "transformers.generation.continuous_batching.continuous_api"
_SERVING: Final = "transformers.cli.serving.utils"
_SERVED: Final = {
    "/v1/chat/completions": gen_ai.CHAT,
    "/v1/responses": gen_ai.CHAT,
    "/v1/completions": gen_ai.TEXT_COMPLETION,
    "/v1/audio/transcriptions": gen_ai.GENERATE_CONTENT,
}
"""Path of `transformers serve` → operation of its requests."""


def _loading(module: str, target: str, endpoint: str, *, optional: bool = False) -> CallRow:
    return CallRow(module=module, target=target, endpoint=f"{__package__}.loading:{endpoint}", optional=optional)


def _stage(target: str, phase: str, extra: str = "nothing") -> PhaseRow:
    # Later versions have more phases.
    return PhaseRow(
        module=_MODELS,
        target=target,
        phase=phase,
        of=otel_genai.LOAD_MODEL,
        extra=f"{__package__}.loading:{extra}",
        optional=True,
    )


def _news(target: str, told: str) -> News:
    return News(module=_BATCHING, target=target, told=f"{__package__}.continuous_batching:{told}", optional=True)


class TransformersInstrumentor(Instrumentor):
    """Instruments models of transformers that run in this process."""

    requires: ClassVar = ("transformers >= 4.48",)
    rows: ClassVar = (
        CallRow(
            module="transformers.generation.utils",
            target="GenerationMixin.generate",
            endpoint=f"{__package__}.generate:GENERATE",
        ),
        # `generate` usually runs in a thread of its own. The streamer alone connects it to the reader of the text.
        Maker(module="transformers.generation.streamers", target="TextStreamer.__init__"),
        # Every generation loop calls it before the first token and after each. A stopping criterion or a logits processor would cost 3.5 or
        # 10.6 µs a token and change the call's arguments; this costs 1 µs.
        StepRow(
            module="transformers.generation.utils", target="GenerationMixin._has_unfinished_sequences", optional=True
        ),
        # Every pipeline's own `__call__` calls this one.
        CallRow(
            module="transformers.pipelines.base", target="Pipeline.__call__", endpoint=f"{__package__}.pipelines:CALL"
        ),
        # Loading by an automatic class includes its own work; the nested call of the model class is part of its span.
        _loading("transformers.models.auto.auto_factory", "_BaseAutoModelClass.from_pretrained", "MODEL"),
        _loading(_MODELS, "PreTrainedModel.from_pretrained", "MODEL"),
        _loading(_MODELS, "PreTrainedModel.to", "MOVE"),
        _loading(_MODELS, "PreTrainedModel.cuda", "MOVE"),
        _loading("transformers.models.auto.tokenization_auto", "AutoTokenizer.from_pretrained", "TOKENIZER"),
        _loading("transformers.tokenization_utils_base", "PreTrainedTokenizerBase.from_pretrained", "TOKENIZER"),
        # The second is a copy of the first's name, if transformers was imported before.
        _loading("huggingface_hub._snapshot_download", "snapshot_download", "DOWNLOAD"),
        _loading("transformers.utils.hub", "snapshot_download", "DOWNLOAD", optional=True),
        _stage("_get_resolved_checkpoint_files", otel_genai.RESOLVE, "weight_files"),
        _stage("PreTrainedModel._load_pretrained_model", otel_genai.READ_WEIGHTS),
        _stage("PreTrainedModel._finalize_model_loading", otel_genai.FINISH_WEIGHTS),
        _stage("accelerate_dispatch", otel_genai.DISPATCH),
        _stage("dispatch_model", otel_genai.DISPATCH),
        CallRow(
            module=_BATCHING,
            target="ContinuousBatchingManager.add_request",
            endpoint=f"{__package__}.continuous_batching:ADD_REQUEST",
            optional=True,
        ),
        _news("OutputRouter.deliver", "delivered"),
        _news("OutputRouter.deliver_batch", "delivered"),
        _news("ContinuousBatchingManager.cancel_request", "cancelled"),
        AsgiAppRow(
            module="transformers.cli.serving.server",
            target="build_server",
            operations=_SERVED,
            provider=otel_genai.HUGGING_FACE,
            optional=True,
        ),
        Handoff(module=_SERVING, target="InferenceThread.submit", optional=True),
        Handoff(module=_SERVING, target="InferenceThread.async_submit", optional=True),
    )
