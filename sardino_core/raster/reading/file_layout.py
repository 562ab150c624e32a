"""How a file is stored, as far as that decides how quickly it is read. Opens nothing."""

from __future__ import annotations

from dataclasses import dataclass

_NETWORK = ("/vsicurl", "/vsis3", "/vsigs", "/vsiaz", "/vsiadls", "/vsioss", "/vsiswift", "/vsihdfs", "/vsiwebhdfs")


@dataclass(frozen=True)
class FileLayout:
    """Of one raster file."""

    name: str
    remote: bool
    compression: str  # in GDAL's words, lower case; empty without
    strips: bool  # of whole rows, instead of tiles
    width_px: int


def is_remote(path: str) -> bool:
    """Whether GDAL reads it over a network: a URL, or one of GDAL's own names for one."""
    scheme, found, _ = path.partition("://")
    return (bool(found) and scheme.lower() != "file") or path.startswith(_NETWORK)
