"""The plugin comes and goes; it costs little, and needs nothing that QGIS's Python may lack."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from qgis.core import QgsApplication, QgsProcessingAlgorithm

from tests.qgis.calls import OUTPUTS
from tests.qgis.conftest import ROOT

NAMES = {
    "segment", "classify", "attention", "embeddings", "preflight", "mergeclasses", "samplepoints", "accuracy",
    "pretrain", "finetune", "checkenvironment", "composite", "change", "cluster", "similarity", "explore",
}  # fmt: skip
MODELS = {"hectares", "checkedmap"}
LOAD = """
import sys, time

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "numpy", "rasterio", "timm", "onnxruntime", "safetensors", "yaml"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
from qgis.core import QgsApplication
from qgis.gui import QgisInterface
application = QgsApplication([], False)
application.initQgis()
started = time.perf_counter()
import sar_dino_qgis
plugin = sar_dino_qgis.classFactory(None)
plugin.initProcessing()
elapsed = time.perf_counter() - started
provider = QgsApplication.processingRegistry().providerById("sardino")
print(elapsed, *(algorithm.name() for algorithm in provider.algorithms()))
plugin.unload()
"""


def algorithms():
    return QgsApplication.processingRegistry().providerById("sardino").algorithms()


def test_the_provider_is_registered(plugin):
    assert {algorithm.name() for algorithm in algorithms()} == NAMES | MODELS


def test_it_loads_quickly_and_without_heavy_packages():
    found = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 0, found.stderr
    elapsed, *names = found.stdout.split()
    assert set(names) == NAMES | MODELS
    assert float(elapsed) < 0.6  # 0.06 s on a quiet machine; the limit is for busy ones


def test_unload_takes_everything_back_and_it_can_come_again(plugin):
    registry = QgsApplication.processingRegistry()
    plugin.unload()
    try:
        assert registry.providerById("sardino") is None
        plugin.unload()  # as QGIS does on its end
    finally:
        plugin.initProcessing()
    assert {algorithm.name() for algorithm in algorithms()} == NAMES | MODELS


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_shipped_model_tells_its_outputs(plugin, name):
    """Also after the provider was loaded again: its algorithms, which the models call, are not known before."""
    registry = QgsApplication.processingRegistry()
    for _ in range(2):
        assert {item.name() for item in registry.algorithmById(f"sardino:{name}").outputDefinitions()} == {
            *OUTPUTS[name]
        }
        registry.providerById("sardino").refreshAlgorithms()


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_algorithm_and_parameter_is_described(plugin, name):
    algorithm = QgsApplication.processingRegistry().algorithmById(f"sardino:{name}")
    assert isinstance(algorithm, QgsProcessingAlgorithm)
    assert algorithm.displayName() and algorithm.group()
    assert not algorithm.icon().isNull()
    for parameter in algorithm.parameterDefinitions():
        assert parameter.description(), parameter.name()
        assert parameter.help(), parameter.name()
        shown = re.sub("</?i>", "`", algorithm.shortHelpString())
        assert parameter.help() in shown and "`" not in algorithm.shortHelpString()


def test_without_a_python_the_algorithms_say_what_to_do(plugin, monkeypatch):
    monkeypatch.setenv("SARDINO_PYTHON", "/nowhere/python")
    able, why = QgsApplication.processingRegistry().createAlgorithmById("sardino:segment").canExecute()
    assert not able and "/nowhere/python" in why and "SARDINO_PYTHON" in why
    able, _ = QgsApplication.processingRegistry().createAlgorithmById("sardino:checkenvironment").canExecute()
    assert able
