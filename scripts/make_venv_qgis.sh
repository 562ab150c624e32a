#!/bin/sh
# Make .venv-qgis, in which the plugin is tested: Debian's own Python, which sees QGIS, with pytest and pytest-qt.
# Installs QGIS where it is missing and where that is possible. Without QGIS the folder is not made: one line says why.
set -eu
folder=.venv-qgis python=/usr/bin/python3
packages="qgis python3-qgis qgis-providers python3-gdal gdal-bin python3-venv xvfb"

sees_qgis() { "$python" -c 'import qgis.core, osgeo.gdal, venv, ensurepip' 2>/dev/null && [ -x /usr/bin/qgis_process.bin ]; }
if [ "$(id -u)" = 0 ]; then as_root=; else as_root="sudo -n"; fi

if ! sees_qgis; then
    if [ -f /etc/debian_version ] && command -v apt-get >/dev/null && $as_root true 2>/dev/null; then
        echo "Installing QGIS from the system's packages, for the plugin's tests (500 MB, about two minutes) ..."
        $as_root env DEBIAN_FRONTEND=noninteractive sh -c "apt-get update -qq && \
            apt-get install -y -qq --no-install-recommends $packages" >/dev/null || true
    fi
fi
if ! sees_qgis; then
    echo "QGIS is not here, so the plugin's tests are skipped. On Debian or Ubuntu: sudo apt install $packages"
    exit 0
fi

echo "Making $folder (20 MB, a few seconds) ..."
[ -x "$folder/bin/python" ] || "$python" -m venv --system-site-packages "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "pytest>=8" "pytest-qt>=4.4" "markdown>=3.7"
touch "$folder/ready"
