"""The page's modules become one script, each module once and after its imports."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from otel_genai.recording.page.modules import modules_as_one

ASSETS = files("otel_genai.recording.page") / "assets"


def test_a_module_stands_once_and_after_its_imports() -> None:
    sources = {
        "main.js": 'import { b, c } from "./b.js";\nimport { a } from "./a.js";\nb(a, c);\n',
        "b.js": 'import { a } from "./a.js";\nexport const c = 1;\nexport function b() {}\n',
        "a.js": "export async function a() {}\n",
    }
    assert modules_as_one("main.js", sources.__getitem__) == (
        "async function a() {}\nconst c = 1;\nfunction b() {}\nb(a, c);\n"
    )


@pytest.mark.parametrize(
    "line",
    [
        'import { a as b } from "./a.js";',
        'import a from "./a.js";',
        'import * as a from "./a.js";',
        'import "https://example.com/a.js";',
        "export { a };",
        "export default 1;",
    ],
)
def test_another_form_of_import_or_export_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"^main\.js has an import or export of another form$"):
        modules_as_one("main.js", lambda _: f"{line}\n")


def test_a_top_level_name_of_the_page_occurs_once() -> None:
    script = modules_as_one("main.js", lambda name: (ASSETS / name).read_text())
    names = re.findall(r"^(?:async )?(?:function|class|const|let) (\w+)", script, re.MULTILINE)
    assert sorted(names) == sorted(set(names))
    assert len(names) > 50


def test_the_script_has_every_module_of_the_page() -> None:
    script = modules_as_one("main.js", lambda name: (ASSETS / name).read_text())
    modules = [file for file in ASSETS.iterdir() if file.name.endswith(".js")]
    assert script.count("// @ts-check") == len(modules) == 12
