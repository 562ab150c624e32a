"""The pool of workers: real processes that work, wait, are cancelled, die and come back."""

import os
import signal
import time

import numpy as np
import pytest
import rasterio

from sar_dino_qgis.worker.process import WorkerPool
from sardino_core import __version__
from sardino_core.contract import jobs
from sardino_core.contract.errors import (
    Cancelled,
    EnvironmentFailed,
    EnvironmentMissing,
    InputMissing,
    OutputUnwritable,
    WorkerDied,
)
from sardino_core.contract.leftovers import try_lock
from tests.cli.conftest import speckled, write_raster
from tests.worker.conftest import LONG_S, Recorder, Running, gone

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the tests' interpreters are shell scripts")
NOTHING = jobs.SimulateJob("/nowhere")  # for scripted workers
UNWRITABLE = jobs.SegmentJob(jobs.SceneOptions(("/nothing.tif",)), jobs.RunOptions("starter"), "/nowhere/map.tif")


def leftovers(folder):
    return list(folder.glob(".sardino-part-*"))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A scene that takes the starter a minute or more."""
    return write_raster(tmp_path_factory.mktemp("large") / "scene.tif", np.tile(speckled(512, 512), (1, 4, 4)))


@pytest.fixture
def map_of(tmp_path):
    """A job that maps a scene with the starter, into a folder of its own."""

    def make(scene):
        options = jobs.RunOptions("starter", batch_size=1)
        (tmp_path / "maps").mkdir(exist_ok=True)
        return jobs.SegmentJob(jobs.SceneOptions((str(scene),)), options, str(tmp_path / "maps" / "map.tif"))

    return make


def test_real_jobs_one_after_the_other_in_one_process(interpreter, pool_with, tmp_path, map_of):
    pool, listener = pool_with(interpreter()), Recorder()
    place = pool.run(jobs.SimulateJob(str(tmp_path / "place"), 128), listener)
    result = pool.run(map_of(place.outputs["scene"]), listener)
    with rasterio.open(result.outputs["output"]) as dataset:
        assert dataset.shape == (128, 128)
    assert sum(result.values["pixels"].values()) == 128 * 128
    assert [fraction for fraction, _ in listener.progresses][-1] == 1.0
    assert any("ONNX Runtime" in line for line in listener.logs)
    with pytest.raises(InputMissing):
        pool.run(map_of(tmp_path / "nothing.tif"), listener)
    assert len(interpreter.pids()) == 1


def test_cancelling_takes_effect_soon_and_leaves_nothing_but_the_warm_worker(
    interpreter, pool_with, tmp_path, large, map_of
):
    pool = pool_with(interpreter())
    running = Running(pool, map_of(large), Recorder(at="window")).begun()
    assert leftovers(tmp_path / "maps")
    asked = time.monotonic()
    running.listener.stop.set()
    running.ended()
    assert time.monotonic() - asked < 5  # two seconds on a machine that does nothing else
    assert isinstance(running.error, Cancelled)
    assert list((tmp_path / "maps").iterdir()) == []
    pool.run(jobs.SimulateJob(str(tmp_path / "place"), 16), Recorder())


@pytest.mark.parametrize(
    ("number", "cause"),
    [(signal.SIGKILL, "memory ran out"), (signal.SIGSEGV, "SIGSEGV"), (signal.SIGTERM, "asked to end")],
)
def test_a_killed_worker_is_an_error_that_names_the_cause_and_the_next_run_works(
    interpreter, pool_with, tmp_path, large, map_of, number, cause
):
    pool = pool_with(interpreter())
    running = Running(pool, map_of(large), Recorder(at="window")).begun()
    os.kill(interpreter.pids()[0], number)
    running.ended()
    assert isinstance(running.error, WorkerDied) and cause in running.error.message
    assert "next run" in running.error.hint
    assert list((tmp_path / "maps").iterdir()) == []
    pool.run(jobs.SimulateJob(str(tmp_path / "place"), 16), Recorder())
    assert len(interpreter.pids()) == 2


def test_a_job_that_does_not_listen_is_ended_by_force_with_all_that_it_started(scripted, interpreter, tmp_path):
    (tmp_path / "held").touch()
    pool = scripted("""
        from sardino_core.contract.leftovers import try_lock
        from sardino_core.raster.writing.staging import staged
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:
            held = open(os.path.join(os.path.dirname(job.output), "held"), "r+b")
            try_lock(held)
            listener.progress(0.1, "a program of its own")
            time.sleep(600)
        with staged() as staging:
            staging.path(job.output).write_text("half")
            time.sleep(600)
    """)
    running = Running(pool, jobs.SimulateJob(str(tmp_path / "out.txt"))).begun()
    asked = time.monotonic()
    running.listener.stop.set()
    running.ended()
    assert time.monotonic() - asked < 5
    assert isinstance(running.error, Cancelled)
    assert gone(interpreter.pids()[0])
    assert [path.name for path in tmp_path.iterdir()] == ["held"]
    with open(tmp_path / "held", "r+b") as held:
        while not try_lock(held):
            assert time.monotonic() - asked < LONG_S
            time.sleep(0.02)


def test_a_training_run_that_is_stopped_saves_its_state_before_it_leaves(scripted, interpreter, tmp_path):
    pool = scripted("""
        listener.progress(0.1, "a long step")
        while not listener.cancelled():
            time.sleep(0.01)
        time.sleep(3)
        open(job.output, "w").close()
        listener.raise_if_cancelled()
    """)
    running = Running(pool, jobs.FinetuneJob(str(tmp_path / "checkpoint"), "scratch")).begun()
    running.listener.stop.set()
    assert isinstance(running.ended().error, Cancelled)
    assert not (tmp_path / "checkpoint").exists()  # the caller did not have to wait for it
    running = Running(pool, jobs.FinetuneJob(str(tmp_path / "other"), "scratch")).begun()
    assert gone(interpreter.pids()[0])
    assert (tmp_path / "checkpoint").exists()
    assert len(interpreter.pids()) == 2
    running.listener.stop.set()
    running.ended()


def test_two_at_once_and_a_third_waits_for_its_turn(scripted, interpreter, tmp_path):
    pool = scripted("""
        listener.progress(0.1, "begun")
        while not os.path.exists(job.output):
            time.sleep(0.01)
        return Result({"output": job.output}, {"pid": os.getpid()})
    """)
    first, second = (Running(pool, jobs.SimulateJob(str(tmp_path / name))).begun() for name in "ab")
    third, fourth = (Running(pool, jobs.SimulateJob(str(tmp_path / name))) for name in "cd")
    time.sleep(0.3)
    assert len(interpreter.pids()) == 2
    assert not third.listener.progresses and not fourth.listener.progresses
    fourth.listener.stop.set()
    assert isinstance(fourth.ended().error, Cancelled)
    for name in "abc":
        (tmp_path / name).touch()
    pids = [running.ended().result.values["pid"] for running in (first, second, third)]
    assert pids[0] != pids[1] and pids[2] in pids[:2]
    assert any("waits" in line for line in third.listener.logs)
    until = time.monotonic() + LONG_S
    while not any(gone(pid, 0) for pid in pids[:2]) and time.monotonic() < until:
        time.sleep(0.02)
    assert sum(gone(pid, 0) for pid in pids[:2]) == 1  # the other one stays warm


def test_an_idle_worker_leaves_without_a_trace_and_the_next_job_gets_another(scripted, interpreter):
    pool = scripted("return Result({}, {'pid': os.getpid()})", idle_s=0.3)
    first = pool.run(NOTHING, Recorder()).values["pid"]
    assert gone(first)
    assert pool.run(NOTHING, Recorder()).values["pid"] != first


def test_a_worker_that_leaves_just_when_a_job_comes_is_replaced(interpreter, pool_with):
    pool = pool_with(
        interpreter(f"""
            import sys
            print('{{"type": "hello", "version": "{__version__}", "protocol": 1}}', flush=True)
            sys.stdin.readline()
            print('{{"type": "result", "outputs": {{}}, "values": {{}}}}', flush=True)
            sys.stdin.readline()  # takes the second job, and leaves
        """)
    )
    for _ in range(2):
        pool.run(NOTHING, Recorder())
    assert len(interpreter.pids()) == 2


def test_another_interpreter_means_another_worker(interpreter):
    chosen = [interpreter()]
    pool = WorkerPool(lambda: chosen[-1])
    with pytest.raises(OutputUnwritable):
        pool.run(UNWRITABLE, Recorder())
    chosen.append(interpreter())
    with pytest.raises(OutputUnwritable):
        pool.run(UNWRITABLE, Recorder())
    first, second = interpreter.pids()
    assert gone(first) and not gone(second, 0.1)
    pool.close()
    assert gone(second)


def test_a_dismissed_worker_leaves_and_the_next_job_gets_another(scripted):
    pool = scripted("return Result({}, {'pid': os.getpid()})")
    first = pool.run(NOTHING, Recorder()).values["pid"]
    assert pool.dismiss()
    assert gone(first)
    assert pool.run(NOTHING, Recorder()).values["pid"] != first


def test_dismissing_tells_of_jobs_under_way(scripted, tmp_path):
    pool = scripted("""
        listener.progress(0.1, "begun")
        while not os.path.exists(job.output):
            time.sleep(0.01)
        return Result({}, {})
    """)
    running = Running(pool, jobs.SimulateJob(str(tmp_path / "go"))).begun()
    assert not pool.dismiss()
    (tmp_path / "go").touch()
    running.ended()
    assert pool.dismiss()


def test_a_worker_that_always_leaves_is_an_error(scripted, interpreter):
    pool = scripted("os._exit(0)")
    with pytest.raises(WorkerDied, match="left when it was given the job"):
        pool.run(NOTHING, Recorder())
    assert len(interpreter.pids()) == 2


def test_closing_stops_the_run_and_every_process_goes(scripted, interpreter):
    pool = scripted("""
        listener.progress(0.1, "begun")
        while not listener.cancelled():
            time.sleep(0.01)
        listener.raise_if_cancelled()
    """)
    running = Running(pool, NOTHING).begun()
    began = time.monotonic()
    pool.close()
    assert time.monotonic() - began < 0.1
    assert isinstance(running.ended().error, Cancelled)
    assert gone(interpreter.pids()[0])
    with pytest.raises(Cancelled):
        pool.run(NOTHING, Recorder())


def test_a_listener_that_fails_does_not_leave_a_worker_in_mid_job(scripted, interpreter):
    class Broken(Recorder):
        def progress(self, fraction, message):
            if fraction > 0:
                raise ZeroDivisionError

    pool = scripted("listener.progress(0.1, 'begun'); time.sleep(0.2); return Result({}, {'pid': os.getpid()})")
    with pytest.raises(ZeroDivisionError):
        pool.run(NOTHING, Broken())
    assert pool.run(NOTHING, Recorder()).values["pid"] == interpreter.pids()[1]
    assert gone(interpreter.pids()[0])


def test_a_flood_on_stderr_blocks_nothing(scripted):
    pool = scripted("sys.stderr.write('noise\\n' * 200_000); return Result()")
    for _ in range(2):
        pool.run(NOTHING, Recorder())


def test_its_last_words_are_in_the_log(scripted):
    pool, listener = scripted("sys.stderr.write('out of ideas\\n'); sys.stderr.flush(); os._exit(3)"), Recorder()
    with pytest.raises(WorkerDied, match="exit code 3 in the middle of the run, saying: out of ideas"):
        pool.run(NOTHING, listener)
    assert "out of ideas" in listener.logs


@pytest.mark.parametrize(
    ("script", "kind", "text"),
    [
        ("print('Welcome to Python!')", EnvironmentFailed, "does not run the worker"),
        ("import sys; sys.exit('no module named what')", EnvironmentFailed, "saying: no module named what"),
        ('print(\'{"type": "hello", "version": "0.0.1", "protocol": 1}\')', EnvironmentFailed, "of version 0.0.1"),
        (
            f'print(\'{{"type": "hello", "version": "{__version__}"}}\\nWelcome!\', flush=True); input(); input()',
            WorkerDied,
            "no message: 'Welcome!'",
        ),
    ],
)
def test_a_python_that_speaks_something_else_is_refused(interpreter, pool_with, script, kind, text):
    pool = pool_with(interpreter(script))
    with pytest.raises(kind, match=text):
        pool.run(NOTHING, Recorder())
    assert gone(interpreter.pids()[0])


def test_a_python_that_never_answers_is_given_up(interpreter, pool_with, monkeypatch):
    monkeypatch.setattr("sar_dino_qgis.worker.child._HELLO_S", 0.5)
    pool = pool_with(interpreter("import time; time.sleep(600)"))
    with pytest.raises(EnvironmentFailed, match="did not answer"):
        pool.run(NOTHING, Recorder())
    assert gone(interpreter.pids()[0])
    running = Running(pool, NOTHING)
    running.listener.stop.set()
    assert isinstance(running.ended().error, (Cancelled, EnvironmentFailed))


def test_no_python_at_all(pool_with, tmp_path):
    with pytest.raises(EnvironmentMissing, match="cannot be started"):
        pool_with(str(tmp_path / "python")).run(NOTHING, Recorder())

    def none():
        raise EnvironmentMissing("There is none.")

    with pytest.raises(EnvironmentMissing, match="There is none"):
        WorkerPool(none).run(NOTHING, Recorder())


def test_what_qgis_sets_does_not_reach_the_worker(scripted, monkeypatch):
    for name in ("PYTHONHOME", "PROJ_LIB", "GDAL_DATA", "QT_PLUGIN_PATH"):
        monkeypatch.setenv(name, "/nonsense")
    pool = scripted(
        "return Result({}, {'names': [name for name, value in os.environ.items() if value == '/nonsense']})"
    )
    assert pool.run(NOTHING, Recorder()).values["names"] == []


def test_an_installed_core_is_never_imported_instead(interpreter, pool_with, tmp_path, monkeypatch):
    """The worker takes the plugin's own core: neither the folder that it runs in nor one on its path counts."""
    (tmp_path / "sardino_core").mkdir()
    (tmp_path / "sardino_core" / "__init__.py").write_text("raise SystemExit('the wrong core')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(OutputUnwritable):
        pool_with(interpreter()).run(UNWRITABLE, Recorder())
