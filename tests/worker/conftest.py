"""Real worker processes behind a pool; what they do is the real thing, or scripted where only the ending matters."""

import os
import shlex
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from sar_dino_qgis.worker.process import WorkerPool
from sardino_core.contract.listener import Listener

ROOT = Path(__file__).parent.parent.parent
LONG_S = 60  # a generous limit for what takes a second on an idle machine


class Recorder(Listener):
    """Keeps what it hears; `begun` is set at the first progress that names `at`."""

    def __init__(self, at=""):
        self.progresses, self.logs, self.at = [], [], at
        self.begun, self.stop = threading.Event(), threading.Event()

    def progress(self, fraction, message):
        self.progresses.append((fraction, message))
        if self.at in message and fraction > 0:
            self.begun.set()

    def log(self, level, message):
        self.logs.append(message)

    def cancelled(self):
        return self.stop.is_set()


class Running:
    """A job that runs in a thread: wait until it has begun, then for its end."""

    def __init__(self, pool, job, listener=None):
        self.listener = listener or Recorder()
        self.result = self.error = None
        self._thread = threading.Thread(target=self._run, args=(pool, job), daemon=True)
        self._thread.start()

    def _run(self, pool, job):
        try:
            self.result = pool.run(job, self.listener)
        except Exception as error:
            self.error = error

    def begun(self):
        assert self.listener.begun.wait(LONG_S), self.error
        return self

    def ended(self):
        self._thread.join(LONG_S)
        assert not self._thread.is_alive()
        return self


def gone(pid, within_s=LONG_S):
    """Whether the process ends, and is no zombie."""
    until = time.monotonic() + within_s
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(0.02)


@pytest.fixture
def interpreter(tmp_path_factory):
    """Make an interpreter that notes its process's number, and runs a script instead where one is given."""
    folder = tmp_path_factory.mktemp("interpreter")

    def make(script=None):
        path = folder / f"python{len(list(folder.iterdir()))}"
        arguments = '"$@"'
        if script is not None:
            (folder / f"{path.name}.py").write_text(textwrap.dedent(script))
            arguments = shlex.quote(str(folder / f"{path.name}.py"))
        pids = shlex.quote(str(folder / "pids"))
        path.write_text(f"#!/bin/sh\necho $$ >> {pids}\nexec {shlex.quote(sys.executable)} {arguments}\n")
        path.chmod(0o755)
        return str(path)

    make.pids = lambda: [int(line) for line in (folder / "pids").read_text().split()]
    return make


@pytest.fixture
def pool_with():
    """Make pools, which are closed in the end."""
    pools = []

    def make(python, **settings):
        pools.append(WorkerPool(lambda: python, **settings))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


@pytest.fixture
def scripted(interpreter, pool_with):
    """A pool whose workers do jobs by `code`, the body of `run_job(job, listener)`."""

    def make(code, **settings):
        script = (
            f"import os, signal, sys, time\nsys.path.insert(0, {str(ROOT)!r})\n"
            "from sardino_core import dispatch, worker\n"
            "from sardino_core.contract.messages import Result\n"
            "def run_job(job, listener):\n" + textwrap.indent(textwrap.dedent(code), "    ") + "\n"
            f"dispatch.run_job = run_job\nsys.exit(worker.serve({settings.get('idle_s', 60)}))\n"
        )
        return pool_with(interpreter(script), **settings)

    return make
