"""Writes the generated tables of all pages: `python -m docs.generate`."""

from __future__ import annotations

from docs.generate.pages import DOCS, with_tables
from otel_genai.guard import Guard


def main() -> None:
    """Print the name of every page that changes."""
    Guard.strict = True
    for path in sorted(DOCS.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        generated = with_tables(page)
        if page != generated:
            path.write_text(generated, encoding="utf-8")
            print(f"{path.relative_to(DOCS.parent)} is written")


main()
