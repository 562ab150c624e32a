"""The end of a process in words."""

import pytest

from sar_dino_qgis.worker.endings import last_line, last_lines, worker_died

CRASH = "noise\nFatal Python error: Segmentation fault\n\nThread 1:\n  File x\n\nExtension modules: numpy (total: 1)\n"


@pytest.mark.parametrize(
    ("status", "words", "cause", "remedy"),
    [
        (-9, "", "killed, most likely because the memory ran out", "smaller batch"),
        (0xC0000017, "", "the memory ran out", "smaller batch"),
        (-11, CRASH, "native code (SIGSEGV), saying: Fatal Python error: Segmentation fault", "driver"),
        (-6, "what(): CUDA error", "native code (SIGABRT), saying: what(): CUDA error", "driver"),
        (0xC0000005, "", "native code (access violation)", "driver"),
        (-1073741819, "", "native code (access violation)", "driver"),
        (-15, "", "ended by SIGTERM", "next run"),
        (-250, "", "ended by signal 250", "next run"),
        (3, "out of ideas.\n", "exit code 3 in the middle of the run, saying: out of ideas.", "next run"),
        (None, "", "stopped answering", "next run"),
    ],
)
def test_cause_and_remedy_are_named(status, words, cause, remedy):
    error = worker_died(status, words)
    assert cause in error.message
    assert remedy in error.hint
    assert ".." not in error.message


def test_last_words():
    assert last_line("") == "" and last_lines("") == []
    assert last_line("a\n b \n\n") == "b"
    assert last_line(CRASH) == "Fatal Python error: Segmentation fault"
    assert last_lines(CRASH) == ["Fatal Python error: Segmentation fault", "Thread 1:", "  File x"]
    assert len(last_lines("line\n" * 1000)) == 20
