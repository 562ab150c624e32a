"""Which provider serves which device, by lists of names as ONNX Runtime gives them on other machines than this."""

from __future__ import annotations

import onnxruntime
import pytest

from sardino_core.contract.jobs import Device
from sardino_core.models.providers import COREML, CPU, CUDA, DIRECTML, OPTIONS, device_missing, gpu_providers, names

AZURE = "AzureExecutionProvider"
PLAIN = [AZURE, CPU]
LINUX_GPU = ["TensorrtExecutionProvider", CUDA, CPU]
WINDOWS_DIRECTML = [DIRECTML, CPU]
MAC = [COREML, AZURE, CPU]


@pytest.mark.parametrize(
    ("device", "available", "expected"),
    [
        ("auto", PLAIN, []),
        ("auto", LINUX_GPU, [CUDA]),
        ("auto", WINDOWS_DIRECTML, [DIRECTML]),
        ("auto", MAC, [COREML]),
        ("auto", [CPU, COREML, DIRECTML, CUDA], [CUDA, DIRECTML, COREML]),
        ("cuda", LINUX_GPU, [CUDA]),
        ("cuda", WINDOWS_DIRECTML, []),
        ("cuda", MAC, []),
        ("mps", MAC, [COREML]),
        ("mps", LINUX_GPU, []),
        ("cpu", LINUX_GPU, []),
        ("cpu", MAC, []),
    ],
)
def test_a_device_has_its_providers_best_first(device: Device, available: list[str], expected: list[str]) -> None:
    assert gpu_providers(device, available) == expected
    assert all(name in OPTIONS for name in expected)


def test_providers_are_named_for_people_and_services_left_out() -> None:
    assert names([*LINUX_GPU[1:], DIRECTML, COREML, AZURE]) == "CUDA, CPU, DirectML, CoreML"
    assert set(OPTIONS) | {CPU} <= set(onnxruntime.get_all_providers()), "a name that ONNX Runtime does not know"


@pytest.mark.parametrize(
    ("device", "torch_version", "said"),
    [
        ("cuda", None, 'cuda: torch is not installed, and ONNX Runtime has CPU alone. Install "onnxruntime-gpu'),
        ("cuda", "2.14", "cuda: torch 2.14 finds none, and ONNX Runtime has CPU alone."),
        ("mps", None, "mps: torch is not installed, and ONNX Runtime has CPU alone. Apple's GPUs"),
    ],
)
def test_a_device_that_nobody_has_is_told_in_one_line(device: Device, torch_version: str | None, said: str) -> None:
    text = str(device_missing(device, PLAIN, torch_version))
    assert said in text and "--device cpu" in text and "\n" not in text
