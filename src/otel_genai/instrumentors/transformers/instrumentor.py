"""Hugging Face transformers 4.48 and later: the table of instrumented functions.

Rows name the modules that define the classes. These are loaded once, while the library replaces its top-level module in a session
(transformers 5.23 `utils/import_utils.py`, `direct_transformers_import`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from otel_genai.endpoint.rows import CallRow, ContextRow, PhaseRow, StepRow
from otel_genai.endpoint.server_rows import AsgiAppRow, EngineRow
from otel_genai.instrumentors.instrumentor import Instrumentor
from otel_genai.semconv import gen_ai, otel_genai

if TYPE_CHECKING:
    from otel_genai.endpoint.arguments import Arguments

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


def _phase(target: str, phase: str, read: str | None = None) -> PhaseRow:
    # Later versions have more phases.
    return PhaseRow(
        module=_MODELS, target=target, phase=phase, operation=otel_genai.LOAD_MODEL, read=read, optional=True
    )


def _delivery(method: str) -> EngineRow:
    return EngineRow(
        module=_BATCHING,
        target=f"OutputRouter.{method}",
        place="finished",
        read=f"{__package__}.continuous_batching:delivered",
        optional=True,
    )


def _router(arguments: Arguments) -> Any:
    # It stands for the engine: outputs are delivered there, and every manager numbers its requests from 0. Older versions have none.
    return getattr(arguments.instance, "output_router", None)


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
        ContextRow(module="transformers.generation.streamers", target="TextStreamer.__init__", policy="capture"),
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
        _phase("_get_resolved_checkpoint_files", otel_genai.RESOLVE, f"{__package__}.loading:weight_files"),
        _phase("PreTrainedModel._load_pretrained_model", otel_genai.READ_WEIGHTS),
        _phase("PreTrainedModel._finalize_model_loading", otel_genai.FINISH_WEIGHTS),
        _phase("accelerate_dispatch", otel_genai.DISPATCH),
        _phase("dispatch_model", otel_genai.DISPATCH),
        EngineRow(
            module=_BATCHING,
            target="ContinuousBatchingManager.add_request",
            place="submit",
            endpoint=f"{__package__}.continuous_batching:ADD_REQUEST",
            engine=_router,
            optional=True,
        ),
        _delivery("deliver"),
        _delivery("deliver_batch"),
        EngineRow(
            module=_BATCHING,
            target="ContinuousBatchingManager.cancel_request",
            place="finished",
            read=f"{__package__}.continuous_batching:cancelled",
            engine=_router,
            optional=True,
        ),
        AsgiAppRow(
            module="transformers.cli.serving.server",
            target="build_server",
            operations=_SERVED,
            provider=otel_genai.HUGGING_FACE,
            optional=True,
        ),
        ContextRow(module=_SERVING, target="InferenceThread.submit", policy="carry", optional=True),
        ContextRow(module=_SERVING, target="InferenceThread.async_submit", policy="carry", optional=True),
    )
