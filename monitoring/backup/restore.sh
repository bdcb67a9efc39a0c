#!/bin/sh
# Restore a backup into a NEW database. It wakes frozen: nothing is sent until two people thaw it.
#   restore.sh [--config FILE] BACKUP DATABASE
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
program="$here/.venv/bin/policywatch"
[ -x "$program" ] || program=policywatch
config=""
if [ "${1:-}" = --config ]; then config=$2; shift 2; fi
[ $# -eq 2 ] || { echo "usage: restore.sh [--config FILE] BACKUP DATABASE" >&2; exit 2; }
exec "$program" ${config:+--config "$config"} backup restore "$1" --into "$2"
