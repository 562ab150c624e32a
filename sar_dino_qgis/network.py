"""QGIS's network settings, for programs that are not QGIS."""

from __future__ import annotations

from urllib.parse import quote

from qgis.core import QgsSettings


def qgis_proxy() -> str:
    """The proxy that the user told QGIS of, as a URL; empty where there is none."""
    settings = QgsSettings()
    if not settings.value("proxy/proxyEnabled", False, type=bool):
        return ""
    host, port = settings.value("proxy/proxyHost", "", type=str), settings.value("proxy/proxyPort", "", type=str)
    if not host:
        return ""
    user = quote(settings.value("proxy/proxyUser", "", type=str), safe="")
    secret = quote(settings.value("proxy/proxyPassword", "", type=str), safe="")
    kind = settings.value("proxy/proxyType", "", type=str)
    scheme = "socks5" if kind.startswith("Socks5") else "http"
    login = f"{user}:{secret}@" if user and secret else f"{user}@" if user else ""
    return f"{scheme}://{login}{host}{f':{port}' if port else ''}"
