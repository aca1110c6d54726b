#!/usr/bin/env bash
# Look the packages of constraints.txt up in the Python advisory database. Exit 1: known faults; 2: it could not be asked.
set -uo pipefail
cd "$(dirname "$0")/.."
# torch's local builds (such as +cpu) have no entry of their own: the release is what is looked up
report=$(.venv/bin/python -m pip_audit --requirement constraints.txt --no-deps --disable-pip --progress-spinner off 2>&1)
status=$?
asked=$(grep -c "==" constraints.txt)
skipped=$(grep -c "could not be audited" <<<"$report")
grep -v "could not be audited" <<<"$report"
if [ "$skipped" -ge "$asked" ] || grep -qiE "ConnectionError|ServiceError|Max retries|timed out|proxy" <<<"$report"; then
    echo "error: the advisory database could not be reached, so nothing was checked. Run \`make audit\` where pypi.org is reachable." >&2
    exit 2
fi
[ "$skipped" -eq 0 ] || echo "$skipped of $asked packages are unknown to the database"
exit "$status"
