"""An export may come from a stranger: it reads no files, and what it computes is checked before it is believed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from sardino_core.contract.errors import ModelInvalid, SardinoError
from sardino_core.models.export_file import LOGITS, TOKENS, export_path
from sardino_core.models.model_file import read_spec
from sardino_core.models.predictor_onnx import OnnxPredictor
from tests.models.networks import noise


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    """The model and its export, to be tampered with."""
    for path in (model, export_path(model)):
        shutil.copy(path, tmp_path / path.name)
    return tmp_path / model.name


def tamper(model: Path, output: str, operator: str, constant: TensorProto, cast: bool = False) -> None:
    """Put `operator(output, constant)` in the place of one output of the graph; `cast` the constant to float32."""
    proto = onnx.load(export_path(model), load_external_data=False)
    for node in proto.graph.node:
        for index, name in enumerate(node.output):
            if name == output:
                node.output[index] = "honest"
        for index, name in enumerate(node.input):
            if name == output:
                node.input[index] = "honest"
    proto.graph.initializer.append(constant)
    if cast:
        proto.graph.node.append(helper.make_node("Cast", [constant.name], ["cast"], to=TensorProto.FLOAT))
    proto.graph.node.append(helper.make_node(operator, ["honest", "cast" if cast else constant.name], [output]))
    export_path(model).write_bytes(proto.SerializeToString())


@pytest.mark.parametrize("location", ["secret.bin", "./secret.bin", "../secret.bin", "{folder}/secret.bin"])
def test_no_file_is_read_by_a_graph(copy: Path, monkeypatch: pytest.MonkeyPatch, location: str) -> None:
    width = read_spec(copy).backbone.width
    (copy.parent / "secret.bin").write_bytes(b"S" * width)
    (copy.parent / "inner").mkdir()
    monkeypatch.chdir(copy.parent / ("inner" if location.startswith("../") else "."))
    leak = TensorProto(name="leak", data_type=TensorProto.UINT8, dims=[width], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location.format(folder=copy.parent)), ("offset", "0"), ("length", str(width))):
        leak.external_data.add(key=key, value=value)
    tamper(copy, TOKENS, "Max", leak, cast=True)
    with pytest.raises(SardinoError):
        OnnxPredictor(copy, read_spec(copy)).tokens(noise(read_spec(copy)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_result_that_is_not_finite_is_no_land_cover(copy: Path, value: float) -> None:
    tamper(copy, LOGITS, "Mul", helper.make_tensor("factor", TensorProto.FLOAT, [1], [value]))
    predictor = OnnxPredictor(copy, read_spec(copy))
    with pytest.raises(ModelInvalid, match="not finite"):
        predictor.segment(noise(predictor.spec))


def test_a_result_of_another_shape_is_refused(copy: Path) -> None:
    shape = helper.make_tensor("flat", TensorProto.INT64, [1], [-1])
    tamper(copy, TOKENS, "Reshape", shape)
    predictor = OnnxPredictor(copy, read_spec(copy))
    with pytest.raises(ModelInvalid, match="calls for"):
        predictor.tokens(noise(predictor.spec))
