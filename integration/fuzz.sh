#!/usr/bin/env bash
# Runs every fuzz target with FUZZTIME inputs (3000x) or for as long (10s), one after the other. At the end of a time go1.26 now and then takes its
# own deadline for a failure ("context deadline exceeded"). What it finds interesting is kept in FUZZCACHE, Go's own
# place by default; from an empty one every run begins with the seeds alone.
set -euo pipefail
cd "$(dirname "$0")/.."

module=$(go list -m)
cache=${FUZZCACHE:-$(go env GOCACHE)/fuzz}
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT

found=0
built=
while IFS=: read -r file target; do
  found=$((found + 1))
  package=$(dirname "$file")
  echo "fuzz $target in $package"
  if [ "$package" != "$built" ]; then
    go test -c -fuzz . -o "$bin/fuzz" "./$package"
    built=$package
  fi
  (cd "$package" && "$bin/fuzz" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "${FUZZTIME:-3000x}" -test.fuzzminimizetime 1s \
    -test.parallel "${PARALLEL:-2}" -test.fuzzcachedir "$cache/$module/$package")
done < <(git ls-files -co --exclude-standard '*_test.go' | xargs grep -HoE '^func Fuzz[A-Za-z0-9_]+' | sed 's/:func /:/' | sort)
if [ "$found" = 0 ]; then
  echo "error: no fuzz target found" >&2
  exit 1
fi
