"""The QGIS plugin "SAR land cover (DINO)": the door that QGIS knocks at, and nothing else."""


def classFactory(iface):
    """The plugin's object; nothing is imported before QGIS asks for it."""
    from sar_dino_qgis import worker  # noqa: F401  (makes `sardino_core` importable, which all the rest needs)
    from sar_dino_qgis.plugin import SarDinoPlugin

    return SarDinoPlugin(iface)
