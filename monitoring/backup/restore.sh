#!/bin/sh
# Restore a backup into a NEW database. It wakes frozen: nothing is sent until two people thaw it.
#   restore.sh [--config FILE] [--json] BACKUP DATABASE
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
program="$here/.venv/bin/policywatch"
[ -x "$program" ] || program=policywatch
config="" json=""
while :; do
  case "${1:-}" in
    --config) config=${2:?--config needs a file}; shift 2 ;;
    --json) json=--json; shift ;;
    *) break ;;
  esac
done
[ $# -eq 2 ] || { echo "usage: restore.sh [--config FILE] [--json] BACKUP DATABASE" >&2; exit 2; }
exec "$program" ${config:+--config "$config"} $json backup restore "$1" --into "$2"
