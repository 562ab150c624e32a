"""Small wheels under the real packages' names: enough for pip, and for `sardino check`."""

import base64
import hashlib
import zipfile

CONTENTS = {
    "numpy": "",
    "affine": "",
    "safetensors": "",
    "rasterio": "__gdal_version__ = '99.9'",
    "onnxruntime": "def get_available_providers():\n    return ['CPUExecutionProvider']",
}


def write_wheel(folder, name, source):
    """A wheel that pip installs: a module of one file, version 99."""
    info = f"{name}-99.0.dist-info"
    files = {
        f"{name}/__init__.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [f"{path},sha256={_digest(text)},{len(text.encode())}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""])
    with zipfile.ZipFile(folder / f"{name}-99.0-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


def _digest(text):
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def write_wheels(folder):
    """A folder that holds all that the light environment is made of."""
    for name, source in CONTENTS.items():
        write_wheel(folder, name, source)
    return folder
