"""What a word on the command line means: a file, a directory or an archive, as to `python`; else an installed command.

What is written in Python is run in this process. Anything else runs as a program of its own, and the Python processes that it
starts are instrumented as children are.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import zipimport
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_genai.runner.target.become import Archive, Script

if TYPE_CHECKING:
    from otel_genai.runner.target.become import Target

_READ: Final = 4096
_ZIP: Final = b"PK\5\6"
"""Begins a zip file's last record, which is all that makes it one: anything may stand in front."""
_LAST_RECORD: Final = 65_557
_LONG_SHEBANG: Final = "'''exec' "
"""How installers begin a second line, of shell, where the first would be too long for the kernel."""


def program(word: str, args: tuple[str, ...] = ()) -> Target:
    """The target that the word names. Whether it is there, and can be read, its `locate` tells."""
    try:
        is_directory, is_there = Path(word).is_dir(), Path(word).exists()
    except (OSError, ValueError):
        # A name that cannot even be looked up.
        return Script(word, args)
    command = None if os.sep in word else _command(word)
    # A directory that is called like a command is likely to be its source, and nothing to be run.
    if is_directory and ((Path(word) / "__main__.py").exists() or command is None):
        return Archive(word, args)
    if is_there and not is_directory:
        if _is_zip(word):
            return Archive(word, args)
        interpreter = _interpreter(word)
        # Whoever names a Python file means this interpreter, whatever the first line says.
        ours = interpreter is None or Path(interpreter).name.startswith("python")
        return Script(word, args) if ours else _foreign(word, args)
    if command is None:
        return Script(word, args)
    return Script(command, args) if _is_this_python(_interpreter(command)) else _foreign(command, args)


def _foreign(path: str, args: tuple[str, ...]) -> Target:
    from otel_genai.runner.target.subprocess import Foreign

    return Foreign(path, args)


def _command(word: str) -> str | None:
    """The file of an installed command: one that came with this interpreter's packages first."""
    beside = shutil.which(word, path=os.fspath(Path(sys.executable).parent))
    return beside or shutil.which(word)


def _is_zip(path: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_RECORD))
            if _ZIP not in file.read():
                return False
        zipimport.zipimporter(path)
    except (OSError, zipimport.ZipImportError):
        return False
    return True


def _interpreter(path: str) -> str | None:
    """What an executable file is to be run by: the path in its first line, "" if it is machine code; `None` if it does not say."""
    try:
        with Path(path).open("rb") as file:
            beginning = file.read(_READ)
    except OSError:
        return None
    if not beginning.startswith(b"#!"):
        return "" if b"\0" in beginning and os.access(path, os.X_OK) else None
    first, second, *_ = (*beginning[2:].decode(errors="replace").splitlines(), "", "")
    words = shlex.split(second.removeprefix(_LONG_SHEBANG) if second.startswith(_LONG_SHEBANG) else first)
    if len(words) > 1 and Path(words[0]).name == "env":
        return shutil.which(words[1]) or words[1]
    return words[0] if words else None


def _is_this_python(interpreter: str | None) -> bool:
    if not interpreter or not Path(interpreter).name.startswith("python"):
        return False
    return Path(interpreter).parent.resolve() == Path(sys.executable).parent.resolve()
