#!/usr/bin/env bash
# System programs for the full suite (Debian and Ubuntu, as root, without questions). Safe to run again.
set -euo pipefail
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "packages.sh: needs root and apt-get; install these yourself: postgresql postgresql-contrib tmux chromium git make python3-venv" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
missing=()
need() { # need PROGRAM PACKAGE: the package is installed when the program is not found
  command -v "$1" >/dev/null 2>&1 || missing+=("$2")
}
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing+=(postgresql postgresql-contrib)
need tmux tmux
need chromium chromium
need git git
need make make
need systemd-analyze systemd
if ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then missing+=(python3-venv); fi
if [ "${#missing[@]}" -gt 0 ]; then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
