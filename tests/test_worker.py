"""The worker as a process: its protocol on stdin and stdout, and when it ends."""

import json
import os
import queue
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from sardino_core import __version__
from sardino_core.contract import jobs, orders
from sardino_core.contract.messages import Failure, Hello, Progress, Result, decode

LONG_S = 60  # a generous limit for what takes a second on an idle machine
ROOT = Path(__file__).parent.parent


class Worker:
    """A worker under test: lines in, messages out."""

    def __init__(self, *command, **settings):
        self.process = subprocess.Popen(
            [sys.executable, *(command or ("-m", "sardino_core", "worker"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings,
        )  # fmt: skip
        self.messages, self.err = queue.Queue(), []
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=lambda: self.err.extend(self.process.stderr), daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            self.messages.put(decode(line))

    def send(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def until(self, *kinds):
        """The next message of these kinds."""
        while True:
            message = self.messages.get(timeout=LONG_S)
            if isinstance(message, kinds):
                return message

    def end(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def start():
    started = []

    def start_worker(*command, **settings):
        started.append(Worker(*command, **settings))
        return started[-1]

    yield start_worker
    for worker in started:
        worker.end()


@pytest.fixture
def start_with(start, tmp_path):
    """A worker whose jobs are done by `code`, the body of `run_job(job, listener)`."""

    def start_scripted(code, idle=60):
        script = tmp_path / "scripted.py"
        script.write_text(
            "import ctypes, os, subprocess, sys, time\n"
            "from sardino_core import dispatch, worker\n"
            "from sardino_core.contract.messages import Result\n"
            "def run_job(job, listener):\n" + textwrap.indent(textwrap.dedent(code), "    ") + "\n"
            f"dispatch.run_job = run_job\nsys.exit(worker.serve({idle}))\n"
        )
        return start(str(script), env={**os.environ, "PYTHONPATH": str(ROOT)})

    return start_scripted


JOB = orders.encode(jobs.SimulateJob("nowhere"))


def test_jobs_and_bad_lines_in_their_order_and_the_worker_lives_on(start, tmp_path):
    worker = start()
    assert worker.until(Hello) == Hello(__version__)
    worker.send(orders.encode(jobs.SimulateJob(str(tmp_path / "place"), 64)))
    for line in ("no json", "[" * 100_000, '{"job": "explode"}', '{"job": "simulate", "output": "x", "size": 3}', ""):
        worker.send(line)
    worker.send(orders.encode(jobs.SimulateJob(str(tmp_path / "other"), 64)))
    ends = [worker.until(Result, Failure) for _ in range(6)]
    assert [type(end) for end in ends] == [Result, Failure, Failure, Failure, Failure, Result]
    assert {end.code for end in ends[1:-1]} == {"setting-invalid"}
    assert "--size 3" in ends[4].message
    assert (tmp_path / "place" / "scene.tif").exists() and (tmp_path / "other" / "scene.tif").exists()
    worker.process.stdin.close()
    assert worker.process.wait(LONG_S) == 0


def test_a_job_that_fails_is_told_by_its_code(start, tmp_path):
    worker = start()
    scene = jobs.SceneOptions((str(tmp_path / "nothing.tif"),))
    worker.send(orders.encode(jobs.SegmentJob(scene, jobs.RunOptions("starter"), str(tmp_path / "map.tif"))))
    assert worker.until(Failure).code == "input-missing"


def test_cancel_stops_what_was_sent_before_it_and_nothing_else(start_with):
    worker = start_with("""
        listener.progress(0.5, job.output)
        while not listener.cancelled() and job.output != "third":
            time.sleep(0.01)
        listener.raise_if_cancelled()
        return Result({"output": job.output})
    """)
    for name in ("first", "second"):
        worker.send(orders.encode(jobs.SimulateJob(name)))
    assert worker.until(Progress) == Progress(0.5, "first")
    worker.send("cancel")
    worker.send(orders.encode(jobs.SimulateJob("third")))
    assert worker.until(Result, Failure).code == "cancelled"
    assert worker.until(Result, Failure).code == "cancelled"
    assert worker.until(Result, Failure) == Result({"output": "third"})


def test_a_late_cancel_does_not_reach_the_next_job(start_with):
    worker = start_with("listener.raise_if_cancelled(); return Result()")
    for _ in range(3):
        worker.send(JOB)
        assert worker.until(Result, Failure) == Result()
        worker.send(orders.encode(orders.Cancel()))


def test_stdout_is_the_protocol_alone(start_with):
    worker = start_with("""
        print("from print")
        os.write(1, b"from a descriptor\\n")
        libc = ctypes.CDLL(None)
        libc.puts(b"from C")
        libc.fflush(None)
        subprocess.run(["echo", "from a program"], check=True)
        subprocess.run(["cat"], check=True)
        return Result()
    """)
    worker.send(JOB)
    assert worker.until(Result, Failure) == Result()
    worker.process.stdin.close()
    assert worker.process.wait(LONG_S) == 0
    for source in ("print", "a descriptor", "C", "a program"):
        assert f"from {source}\n" in worker.err


@pytest.mark.parametrize("code", ["raise KeyError('inside')", "return Result({}, {'miou': float('nan')})"])
def test_a_defect_is_one_line_and_its_traceback_is_in_the_log(start_with, code):
    worker = start_with(code)
    worker.send(JOB)
    failure = worker.until(Failure)
    assert failure.code == "error" and "defect" in failure.hint and "Traceback" not in failure.message
    worker.send(JOB)
    assert worker.until(Failure) == failure


def test_a_missing_package_is_told_as_such(start_with):
    worker = start_with("import no_such_package")
    worker.send(JOB)
    failure = worker.until(Failure)
    assert failure.code == "dependency-missing" and "no_such_package" in failure.message


def test_an_idle_worker_leaves(start):
    worker = start("-m", "sardino_core", "worker", "--idle", "0.2")
    assert worker.process.wait(LONG_S) == 0


def test_a_worker_whose_parent_vanished_stops_its_job_and_leaves(start_with, tmp_path):
    worker = start_with(f"""
        listener.progress(0.1, "begun")
        while not listener.cancelled():
            time.sleep(0.01)
        open({str(tmp_path / "stopped")!r}, "w").close()
        listener.raise_if_cancelled()
    """)
    worker.send(JOB)
    worker.until(Progress)
    worker.process.stdin.close()
    assert worker.process.wait(LONG_S) == 0
    assert (tmp_path / "stopped").exists()


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_asked_to_end_in_mid_job_it_says_so_and_ends(start_with):
    worker = start_with("""
        listener.progress(0.1, "begun")
        time.sleep(60)
    """)
    worker.send(JOB)
    worker.until(Progress)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.until(Failure).code == "cancelled"
    assert worker.process.wait(LONG_S) == 1


def test_the_second_job_does_not_pay_for_imports(start, tmp_path):
    worker = start()

    def seconds():
        began = time.monotonic()
        worker.send(orders.encode(jobs.SimulateJob(str(tmp_path), 16)))
        assert isinstance(worker.until(Result, Failure), Result)
        return time.monotonic() - began

    first = seconds()
    assert min(seconds() for _ in range(5)) < first


def test_orders_survive_the_wire():
    assert orders.decode(orders.encode(orders.Cancel())) == orders.Cancel()
    assert json.loads(orders.encode(orders.Cancel())) == {"job": "cancel"}
    job = jobs.SimulateJob("folder with \udcff", 64)  # a file name that is not UTF-8, as Python has it
    assert orders.decode(orders.encode(job)) == job
