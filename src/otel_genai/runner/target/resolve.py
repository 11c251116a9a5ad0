"""Resolves the name of a program on the command line: a file, directory or archive, as for `python`, or an installed command.

A program in Python runs in this process. Any other runs as a subprocess, and the Python processes that it starts are instrumented
as children.
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

_BEGINNING_SIZE: Final = 4096
"""Bytes of a file that hold its first two lines."""
_ZIP_SIGNATURE: Final = b"PK\5\6"
"""The beginning of the last record of a zip file (APPNOTE 4.3.16). Other data may precede the archive."""
_ZIP_RECORD_SIZE: Final = 65_557
"""The greatest size of that record, in bytes."""
_LONG_SHEBANG: Final = "'''exec' "
"""The beginning of the second line where the first would be too long for the kernel (distlib 0.4 scripts.py)."""


def resolve(name: str, args: tuple[str, ...] = ()) -> Target:
    """Return the target of this name. Its `locate` raises if there is none, or none that can be read."""
    try:
        is_directory, exists = Path(name).is_dir(), Path(name).exists()
    except (OSError, ValueError):
        # No file can have this name: `locate` says why.
        return Script(name, args)
    command = None if os.sep in name else _command(name)
    # A directory with the name of a command is likely to be its source, which is no program.
    if is_directory and ((Path(name) / "__main__.py").exists() or command is None):
        return Archive(name, args)
    if exists and not is_directory:
        if _is_zip(name):
            return Archive(name, args)
        interpreter = _interpreter(name)
        # A Python file that is named runs in this interpreter, whichever one its first line names.
        is_python = interpreter is None or Path(interpreter).name.startswith("python")
        return Script(name, args) if is_python else _subprocess(name, args)
    if command is None:
        return Script(name, args)
    return Script(command, args) if _is_this_python(_interpreter(command)) else _subprocess(command, args)


def _subprocess(path: str, args: tuple[str, ...]) -> Target:
    from otel_genai.runner.target.subprocess import Subprocess

    return Subprocess(path, args)


def _command(name: str) -> str | None:
    """Return the file of an installed command: those beside this interpreter come first."""
    beside = shutil.which(name, path=os.fspath(Path(sys.executable).parent))
    return beside or shutil.which(name)


def _is_zip(path: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _ZIP_RECORD_SIZE))
            if _ZIP_SIGNATURE not in file.read():
                return False
        zipimport.zipimporter(path)
    except (OSError, zipimport.ZipImportError):
        return False
    return True


def _interpreter(path: str) -> str | None:
    """Return the interpreter in the first line of a file: "" for machine code, `None` if the file names none."""
    try:
        with Path(path).open("rb") as file:
            beginning = file.read(_BEGINNING_SIZE)
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
