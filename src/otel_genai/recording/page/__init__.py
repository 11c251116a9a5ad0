"""The report as one HTML page."""

from __future__ import annotations

from otel_genai.recording.page.html import page, write_page

__all__ = ["page", "write_page"]
