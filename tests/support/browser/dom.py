"""A page as a tree of elements."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Element:
    """An element, its attributes and its content."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.content: list[Element | str] = []

    def all(self, *tags: str) -> list[Element]:
        """All descendants with these tags, in document order; without tags all descendants."""
        return [element for element in self._within() if not tags or element.tag in tags]

    def named(self, name: str) -> Element:
        """The one descendant with this id."""
        (found,) = (element for element in self._within() if element.attributes.get("id") == name)
        return found

    @property
    def text(self) -> str:
        """All text of the element and its descendants."""
        return "".join(part if isinstance(part, str) else part.text for part in self.content)

    def _within(self) -> Iterator[Element]:
        for part in self.content:
            if isinstance(part, Element):
                yield part
                yield from part._within()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].content.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].content.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if any(element.tag == tag for element in self.open):
            while self.open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.open[-1].content.append(data)


def parsed(html: str) -> Element:
    """The page's elements, under a root without a tag."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.open[0]


def figures(page: Element) -> list[list[str]]:
    """The report's table of figures, a row for each visible line: a part of the name, percentile, times, tokens."""
    found = []
    for body in page.named("figures").all("tbody"):
        (name,) = [cell for cell in body.all("th") if cell.attributes.get("scope") == "rowgroup"]
        parts = [part.text for part in name.all("div")]
        for part, row in zip(parts, body.all("tr"), strict=False):
            found.append([part, *(cell.text for cell in row.all("th", "td") if cell is not name)])
        found += [[part] for part in parts[len(body.all("tr")) :]]
    return found
