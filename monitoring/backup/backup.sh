#!/bin/sh
# One backup, manifest last: a folder without a manifest is no backup. Arguments go to the program before the command.
#   backup.sh [--config FILE] [--json]
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
program="$here/.venv/bin/policywatch"
[ -x "$program" ] || program=policywatch
exec "$program" "$@" backup create
