"""The files that a streamed chat passes when it is opened."""

from __future__ import annotations

from docs.generate.trip import streamed_chat


def test_opening_a_streamed_chat_visits_at_most_ten_files_each_for_work_of_its_own() -> None:
    files = [visit.file for visit in streamed_chat()]
    assert files[:2] == ["patching/drivers.py", "call/call.py"]
    assert len(files) <= 10, files
