#!/usr/bin/env bash
# Runs every fuzz target for FUZZTIME, one after the other: go test takes only one at a time.
set -euo pipefail
cd "$(dirname "$0")/.."

found=0
while IFS=: read -r file target; do
  found=$((found + 1))
  echo "fuzz $target in $(dirname "$file")"
  go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-10s}" -fuzzminimizetime 1s -parallel "${PARALLEL:-2}" "./$(dirname "$file")"
done < <(git ls-files -co --exclude-standard '*_test.go' | xargs grep -HoE '^func Fuzz[A-Za-z0-9_]+' | sed 's/:func /:/')
if [ "$found" = 0 ]; then
  echo "error: no fuzz target found" >&2
  exit 1
fi
