#!/usr/bin/env bash
# ./tools/cli/migrate.sh up|down|status|verify: `policywatch migrate` of this checkout where it is built, else of the system.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
if [ -x "$here/.venv/bin/policywatch" ]; then
  exec "$here/.venv/bin/policywatch" migrate "$@"
elif command -v policywatch >/dev/null 2>&1; then
  exec policywatch migrate "$@"
fi
echo "migrate.sh: policywatch is not installed here; run make in $here first" >&2
exit 2
