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
node_is_new() { # 20 or newer, with npm: what make test-timescale needs
  command -v npm >/dev/null 2>&1 && node -e 'process.exit(parseInt(process.versions.node, 10) >= 20 ? 0 : 1)' 2>/dev/null
}
node_is_new || missing+=(nodejs npm)
if [ "${#missing[@]}" -gt 0 ]; then
  apt-get update -qq
  if ! node_is_new; then
    offered=$(apt-cache policy nodejs | sed -n 's/^ *Candidate: *\([0-9]*:\)\{0,1\}\([0-9][0-9]*\).*/\2/p')
    if [ "${offered:-0}" -lt 20 ]; then
      echo "packages.sh: this distribution's nodejs is ${offered:-not there}; make test-timescale needs 20: install a newer Node yourself" >&2
      kept=()
      for package in "${missing[@]}"; do case "$package" in nodejs|npm) ;; *) kept+=("$package") ;; esac; done
      missing=(${kept[@]+"${kept[@]}"})
    fi
  fi
  if [ "${#missing[@]}" -gt 0 ]; then
    apt-get install -y -qq --no-install-recommends "${missing[@]}"
  fi
fi
