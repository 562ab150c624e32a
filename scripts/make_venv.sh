#!/bin/sh
# Make (or update) a virtual environment with this project and the named extras.
# usage: make_venv.sh FOLDER EXTRAS WHAT_TO_EXPECT
set -eu
folder=$1 extras=$2 expect=$3

for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$candidate; break; fi
done
if [ -z "${python:-}" ]; then
    echo "error: no Python 3.11 or newer was found. Install one, or name it: make PYTHON=/path/to/python3 ..." >&2
    exit 1
fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing python3-venv ..."
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
    else
        echo "error: $python has no venv module. Install it (Debian, Ubuntu: sudo apt install python3-venv)." >&2
        exit 1
    fi
fi

echo "Making $folder ($expect) ..."
[ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$extras]"
touch "$folder/ready"
