"""The plugin's zip, dist/sar_dino_qgis-VERSION.zip: one folder that holds the plugin and, unchanged, the core.

The same sources give the same bytes.
"""

from __future__ import annotations

import argparse
import configparser
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts" / "plugin")]

from help_pages import help_pages  # noqa: E402

from sardino_core import __version__  # noqa: E402

PLUGIN = "sar_dino_qgis"
MAX_BYTES = 20_000_000  # what the plugin repository and people's patience allow
_SUFFIXES = {".py", ".svg", ".md", ".model3", ".yaml", ".safetensors", ".onnx", ".typed"}
_EPOCH = (2020, 1, 1, 0, 0, 0)


def main() -> None:
    """Build the zip and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "dist", metavar="DIR", help="folder; default: dist")
    path = package(parser.parse_args().output)
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


def package(folder: Path) -> Path:
    """Write the zip into `folder` and return its path. Raises SystemExit when it is not fit to be published."""
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "metadata.txt", encoding="utf-8")
    if metadata["general"]["version"] != __version__:
        raise SystemExit(f"error: metadata.txt has version {metadata['general']['version']}, the core {__version__}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{PLUGIN}-{__version__}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in sorted(_files()):
            entry = zipfile.ZipInfo(f"{PLUGIN}/{name}", _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    if path.stat().st_size > MAX_BYTES:
        raise SystemExit(f"error: {path} has {path.stat().st_size} bytes; allowed are {MAX_BYTES}")
    return path


def _files() -> Iterator[tuple[str, bytes]]:
    """Every file's name within the plugin's folder, and its content."""
    for name in ("metadata.txt", "LICENSE"):
        yield name, (ROOT / name).read_bytes()
    for name, content in help_pages():
        yield f"help/{name}", content
    for package_folder, prefix in ((ROOT / PLUGIN, ""), (ROOT / "sardino_core", "sardino_core/")):
        for path in package_folder.rglob("*"):
            name = path.relative_to(package_folder)
            if path.is_file() and path.suffix in _SUFFIXES and "__pycache__" not in name.parts:
                yield prefix + name.as_posix(), path.read_bytes()


if __name__ == "__main__":
    main()
