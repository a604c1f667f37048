#!/bin/sh
# Puts uv, which installs everything else, into a private folder. Needs Python 3.11 or newer, and nothing else.
#
#   sh dev/install_uv.sh .tools              # PYTHON=... chooses the interpreter
set -eu

tools=$1
uv_version='>=0.9,<1'

fail() {
    echo "error: $1" >&2
    exit 1
}

find_python() {
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            # The interpreter itself, not a version manager's wrapper for it.
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
        if [ -n "${PYTHON:-}" ]; then
            fail "PYTHON=$PYTHON is not Python 3.11 or newer."
        fi
    done
    fail "no Python 3.11 or newer found. Install one, or name it: make PYTHON=/path/to/python3"
}

python=$(find_python) || exit 1
echo "Installing uv into $tools, with $python (once) ..."

if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    fail "$python has no venv module. On Debian and Ubuntu: apt-get install python$version-venv"
fi
rm -rf "$tools"
"$python" -m venv "$tools" || fail "could not make $tools with $python."
if ! "$tools/bin/python" -m pip install --quiet --disable-pip-version-check "uv$uv_version" 2>"$tools/pip.log"; then
    reason=$(grep '^ERROR' "$tools/pip.log" | tail -n 1)
    fail "pip could not install uv: no network, or a proxy that pip does not know? ${reason#ERROR: } ($tools/pip.log)"
fi
