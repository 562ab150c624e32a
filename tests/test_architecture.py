"""The packages' borders: who may import whom, and what must not be imported too early."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "sardino_core"

# Package -> what of this project it may import at all; the rest of the table in the design is about third parties.
ALLOWED = {
    "contract": {"contract"},
    "raster": {"raster", "contract"},
    "simulate": {"simulate", "raster", "contract"},
    "models": {"models", "contract"},
    "training": {"training", "raster", "models", "simulate", "contract"},
    "analysis": {"analysis", "raster", "models", "simulate", "contract"},
    "study": {"study", "training", "analysis", "raster", "models", "simulate", "contract"},
}
FORBIDDEN_THIRD_PARTIES = {
    "contract": {"numpy", "rasterio", "torch", "timm", "onnxruntime", "safetensors", "affine"},
    "raster": {"torch", "timm", "onnxruntime", "safetensors"},
    "simulate": {"torch", "timm", "onnxruntime", "scipy"},
    "models": {"rasterio"},
    "analysis": {"torch", "timm", "onnxruntime"},
}


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield node.module


def modules():
    return [path for path in CORE.rglob("*.py")]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(CORE)))
def test_imports_keep_to_the_table(path):
    package = path.relative_to(CORE).parts[0]
    for name in imports_of(path):
        top, *rest = name.split(".")
        assert top not in {"qgis", "PyQt5", "PyQt6", "osgeo"}
        assert top not in FORBIDDEN_THIRD_PARTIES.get(package, set())
        if top == "sardino_core" and rest and package in ALLOWED:
            assert rest[0] in ALLOWED[package], f"{path.name} imports {name}"


@pytest.mark.parametrize("path", [CORE / "__init__.py", *(CORE / "contract").rglob("*.py")], ids=lambda path: path.name)
def test_the_door_keeps_to_python_3_9(path):
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    assert "match " not in path.read_text(encoding="utf-8").replace("re.fullmatch ", "")


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import sardino_core.cli", {"torch", "timm", "numpy", "rasterio", "onnxruntime"}),
        ("import sardino_core.contract.jobs", {"numpy", "rasterio"}),
        ("import sardino_core.models", {"torch", "onnxruntime"}),
        ("import sardino_core.inference", {"torch", "timm", "onnxruntime"}),
    ],
)
def test_importing_costs_only_what_is_needed(statement, unwanted):
    script = f"import sys; {statement}; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert unwanted.isdisjoint(loaded.stdout.split())


def test_there_is_no_drawer_for_everything():
    assert not [path for path in modules() if path.stem in {"utils", "helpers", "misc", "common"}]
