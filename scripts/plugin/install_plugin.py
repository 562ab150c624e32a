"""Put the plugin into a QGIS profile, as QGIS's own "Install from ZIP" does.

`--open` starts QGIS with the plugin switched on and a simulated scene loaded; the user's profile is not touched.
"""

from __future__ import annotations

import argparse
import configparser
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts" / "plugin")]

from package_plugin import PLUGIN, package  # noqa: E402

_PROFILES = {
    "win32": Path(os.environ.get("APPDATA", "")) / "QGIS" / "QGIS3" / "profiles",
    "darwin": Path.home() / "Library" / "Application Support" / "QGIS" / "QGIS3" / "profiles",
}
_LINUX = Path.home() / ".local" / "share" / "QGIS" / "QGIS3" / "profiles"


def main() -> None:
    """Install, and open where that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = _PROFILES.get(sys.platform, _LINUX) / "default"
    parser.add_argument("--profile", type=Path, default=default, metavar="DIR", help="default: QGIS's default profile")
    parser.add_argument("--open", action="store_true", help="in a profile of its own under build/, with a demo layer")
    arguments = parser.parse_args()
    if arguments.open:
        show(ROOT / "build" / "qgis")
    else:
        print(f"{install(arguments.profile)}: switch it on in QGIS under Plugins, Manage and Install Plugins.")


def install(profile: Path) -> Path:
    """Unpack the zip into the profile, in place of what is there; returns the plugin's folder."""
    plugins = profile / "python" / "plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(plugins / PLUGIN, ignore_errors=True)
    with zipfile.ZipFile(package(ROOT / "dist")) as archive:
        archive.extractall(plugins)
    return plugins / PLUGIN


def show(folder: Path) -> None:
    """QGIS with a profile in `folder`. Raises SystemExit where there is no QGIS."""
    qgis = shutil.which("qgis.bin") or shutil.which("qgis")
    if qgis is None:
        raise SystemExit("error: QGIS is not on the PATH; install it, or use `make install` and open it yourself")
    profile = folder / "profiles" / "default"
    install(profile)
    switch_on(profile / "QGIS" / "QGIS3.ini")
    scene = demo_scene(folder / "place")
    print("In QGIS: Processing, Toolbox (Ctrl+Alt+T), SAR land cover (DINO).")
    environment = {**os.environ, "SARDINO_PYTHON": os.environ.get("SARDINO_PYTHON", sys.executable)}
    subprocess.run([qgis, "--nologo", "--profiles-path", str(folder), str(scene)], env=environment, check=False)


def demo_scene(folder: Path) -> Path:
    """A simulated scene, made where it is not there yet."""
    scene = folder / "scene.tif"
    if not scene.exists():
        subprocess.run(
            [sys.executable, "-m", "sardino_core", "simulate", "--output", str(folder)], check=True, cwd=ROOT
        )
    return scene


def switch_on(settings: Path) -> None:
    """Switch the plugin on in a profile's settings, without touching what else is set."""
    ini = configparser.RawConfigParser(strict=False)
    ini.optionxform = str  # type: ignore[assignment,method-assign]  # QGIS's keys have capitals
    ini.read(settings, encoding="utf-8")
    if not ini.has_section("PythonPlugins"):
        ini.add_section("PythonPlugins")
    ini.set("PythonPlugins", PLUGIN, "true")
    settings.parent.mkdir(parents=True, exist_ok=True)
    with open(settings, "w", encoding="utf-8") as file:
        ini.write(file, space_around_delimiters=False)


if __name__ == "__main__":
    main()
