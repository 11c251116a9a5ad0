"""Recordings of finished operations, and reports of them: files, figures, tables and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_genai.recording.file.decode import read
    from otel_genai.recording.file.locking import NotARecordingError
    from otel_genai.recording.file.records import Process, RecordedOperation
else:
    # Lazy: the recorder needs this package, but not the extra `report`, with which recordings are read.
    from otel_genai.lazy_exports import lazy_exports

    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "otel_genai.recording.file.decode": ("read",),
            "otel_genai.recording.file.locking": ("NotARecordingError",),
            "otel_genai.recording.file.records": ("Process", "RecordedOperation"),
        },
    )

__all__ = ["NotARecordingError", "Process", "RecordedOperation", "read"]
