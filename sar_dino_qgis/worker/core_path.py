"""Where `sardino_core` lies: in the plugin's own folder when installed from the zip, in the repository's root else.

Whoever imports `sardino_core.contract` in the plugin imports `sar_dino_qgis.worker` before (its `__init__` calls
`provide_core`). The worker is given the same folder, so that both sides always are of one version; its hello proves it.
"""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


def core_folder() -> Path:
    """The folder that holds the package `sardino_core`."""
    plugin = Path(__file__).resolve().parent.parent
    return plugin if (plugin / "sardino_core").is_dir() else plugin.parent


def provide_core() -> None:
    """Make this `sardino_core` the one that is imported, and no other that is installed somewhere.

    The package is loaded by its place: with the plugin's folder on `sys.path`, the plugin's `processing` would hide
    that of QGIS.
    """
    package = core_folder() / "sardino_core"
    found = sys.modules.get("sardino_core")
    if found is not None and getattr(found, "__path__", None) == [str(package)]:
        return
    for name in [name for name in sys.modules if name.partition(".")[0] == "sardino_core"]:
        del sys.modules[name]
    spec = spec_from_file_location("sardino_core", package / "__init__.py", submodule_search_locations=[str(package)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{package} is not there: the plugin is incomplete; install it again.")
    module = sys.modules["sardino_core"] = module_from_spec(spec)
    spec.loader.exec_module(module)
