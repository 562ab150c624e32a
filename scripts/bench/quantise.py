"""What fewer bits gain on this processor: the starter in int8 and fp16 on ONNX Runtime; docs/performance.md quotes it.

    python scripts/bench/quantise.py [--places 4]

Each form of the network says what simulated places hold, window by window, and is scored against their labels. Speed is
processor time on one thread, the forms in turn, as a ratio to float32: on a busy machine it still holds.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import onnx
import onnxruntime as ort
import torch
from measure import spread, table, tell
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16
from overlap import FIRST_SEED
from window_maps import confusion, labels_of

from sardino_core.contract.jobs import RunOptions, SceneOptions, SimulateJob
from sardino_core.contract.listener import Listener
from sardino_core.models.model_file import load_weights, read_spec, resolve_model
from sardino_core.models.network import build
from sardino_core.pipeline import open_session
from sardino_core.raster.scaling import standardise
from sardino_core.raster.strips import read_tiles
from sardino_core.simulate import simulate_scene
from sardino_core.study.bootstrap import miou

BATCH = 8
CALIBRATION = 16  # windows, of a place that does not score
POINTS = 0.2  # by which mIoU may differ, for a faster form to be kept
INPUT, OUTPUT = "windows", "logits"
Floats = NDArray[np.float32]


class Windows(CalibrationDataReader):
    """Windows one by one, as ONNX Runtime's calibration asks for them."""

    def __init__(self, windows: Floats) -> None:
        """`windows` (N, C, S, S)."""
        self._left = iter(windows)

    def get_next(self) -> dict[str, Floats] | None:
        window = next(self._left, None)
        return None if window is None else {INPUT: window[None]}


def main() -> int:
    """Simulate, convert, score, print."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--places", type=int, default=4)
    parser.add_argument("--size", type=int, default=512, help="pixels a side of a place, whole windows")
    parser.add_argument("--rounds", type=int, default=5, help="of timing")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="sardino-quantise-") as folder:
        work = Path(folder)
        places = []
        for number in range(arguments.places + 1):
            tell(f"place {number + 1} of {arguments.places + 1}")
            job = SimulateJob(str(work / str(number)), arguments.size, FIRST_SEED + number)
            places.append(windows_of(simulate_scene(job), arguments.model))
        plain = exported(arguments.model, work / "fp32.onnx")
        forms = {"float32": plain} | dict(lighter(plain, work, places.pop()[0][:CALIBRATION]))
        sessions = {name: opened(path) for name, path in forms.items()}
        values = np.array([item.value for item in read_spec(resolve_model(arguments.model)).classes], np.uint8)
        print(report(sessions, places, values, arguments.rounds))
    return 0


def windows_of(files: dict[str, Path], model: str) -> tuple[Floats, NDArray[np.uint8]]:
    """A place's windows side by side (N, C, S, S), and their labels (N, S, S), merged as the starter's classes are."""
    labels = labels_of(files["labels"])
    windows, targets = [], []
    with open_session(SceneOptions((str(files["scene"]),)), RunOptions(model, overlap=0), Listener()) as session:
        inputs, plan = session.spec.inputs, session.plan
        for item in read_tiles(session.scene, plan):
            place = plan.window(item.tile)
            windows.append(standardise(item.backscatter_db, item.valid, inputs.bands, inputs.clip_db))
            targets.append(labels[place.rows, place.cols])
    return np.stack(windows), np.stack(targets)


def exported(model: str, path: Path) -> Path:
    """The network with its weights inside, in float32, as ONNX Runtime's tools take it."""
    source = resolve_model(model)
    spec = read_spec(source)
    network = build(spec, load_weights(source)).eval()
    example = torch.zeros(2, len(spec.inputs.bands), spec.window, spec.window)
    shapes = {"x": {0: torch.export.Dim("batch", min=1)}}
    names = {"input_names": [INPUT], "output_names": [OUTPUT], "verbose": False}
    with torch.no_grad():
        torch.onnx.export(network, (example,), path, dynamo=True, external_data=False, dynamic_shapes=shapes, **names)
    quant_pre_process(path, path)
    return path


def lighter(plain: Path, work: Path, windows: Floats) -> Iterator[tuple[str, Path]]:
    """Each form with fewer bits."""
    dynamic, static, half = (work / f"{name}.onnx" for name in ("dynamic", "static", "half"))
    quantize_dynamic(plain, dynamic, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm"])
    yield "int8, dynamic, matrix multiplies", dynamic
    quantize_static(
        plain,
        static,
        Windows(windows),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul", "Gemm"],
    )
    yield "int8, static (QDQ), matrix multiplies", static
    onnx.save(convert_float_to_float16(onnx.load(plain), keep_io_types=True), half)
    yield "float16", half


def opened(path: Path) -> ort.InferenceSession:
    """On one thread, so that processor time is time."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def report(
    sessions: dict[str, ort.InferenceSession],
    places: list[tuple[Floats, NDArray[np.uint8]]],
    values: NDArray[np.uint8],
    rounds: int,
) -> str:
    """A row for each form; the first is what the others are compared with."""
    batch = places[0][0][:BATCH]
    taken: dict[str, list[float]] = {name: [] for name in sessions}
    for turn in range(rounds + 1):
        for name, session in sessions.items():
            seconds = _processor_time(lambda session=session: session.run(None, {INPUT: batch}))
            if turn:  # the first warms up
                taken[name].append(seconds)
    scores = {name: _score(session, places, values) for name, session in sessions.items()}
    plain = next(iter(sessions))
    rows = []
    for name in sessions:
        ratios = [whole / part for whole, part in zip(taken[plain], taken[name], strict=True)]
        points = 100 * (scores[name] - scores[plain])
        kept = np.median(ratios) > 1 and abs(points) <= POINTS
        verdict = "" if name == plain else "may be kept" if kept else "no"
        rows.append((name, spread(ratios), f"{scores[name]:.4f}", f"{points:+.2f}", verdict))
    return table(("", "speed to float32", "mIoU", "points", ""), rows)


def _score(
    session: ort.InferenceSession, places: list[tuple[Floats, NDArray[np.uint8]]], values: NDArray[np.uint8]
) -> float:
    counts = np.zeros((len(values), len(values)), np.int64)
    for windows, labels in places:
        for start in range(0, len(windows), BATCH):
            part = slice(start, start + BATCH)
            chosen = session.run(None, {INPUT: windows[part]})[0].argmax(axis=1)
            counts += confusion(labels[part], chosen, values)
    return float(miou(counts))


def _processor_time(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    sys.exit(main())
