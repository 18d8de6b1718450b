#!/bin/sh
# Runs spin on a model, all the way through: check.sh MODEL holds|refuted [-DFLAG...]
#
# "holds" expects that no assertion fails in any state; "refuted" expects that one does, and prints where. Exit 0: as
# expected, 1: not, 77: spin is not installed (ctest reports a skipped test; with MUSTER_REQUIRE_TOOLS=1 that is 1 too).
set -eu
model=$(realpath "$1")
expected=$2
shift 2

if ! command -v spin >/dev/null; then
  echo "spin is not installed (apt-get install spin)"
  [ "${MUSTER_REQUIRE_TOOLS:-}" != 1 ] || exit 1
  exit 77
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
spin -a "$@" "$model" >spin.log || { cat spin.log; exit 1; }
# Unoptimised: what spin writes takes a compiler longer than the search that it makes faster.
# SAFETY: assertions and deadlocks; MEMLIM: MiB. Without COLLAPSE, which would save a quarter of the memory and take twice
# as long.
${CC:-cc} -O0 -w -DSAFETY -DMEMLIM=3000 -o pan pan.c
# -m: the deepest path; a deeper one is reported and fails the check.
./pan -m10000 -n >pan.log 2>&1 || { cat pan.log; exit 1; }

# For whoever reads along; what decides is below, and a log without any of these has an `errors:` line or fails there.
grep -E 'assertion violated|invalid end state|States|states, stored|Search not completed|max search depth' pan.log || true
errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.log)
if [ "$expected" = refuted ]; then
  if [ "${errors:-0}" = 0 ] || ! grep -q 'assertion violated' pan.log; then
    echo "FAILED: spin finds nothing wrong with $* (a check that cannot fail checks nothing)"
    exit 1
  fi
  echo "refuted, as it should be: $*"
  exit 0
fi
if [ "${errors:-1}" != 0 ] || grep -qE 'Search not completed|max search depth too small' pan.log; then
  cat pan.log
  # The shortest steps that lead there.
  [ -f ./*.trail ] && spin -t -p "$@" "$model" | grep -E 'proc +[0-9]+ \((Bind|Unbind|Sweep|Resolve|Time|Move|Settle)' | tail -60
  echo "FAILED: replay with: cd $(dirname "$model") && spin -a $* $(basename "$model") && cc -DSAFETY -o pan pan.c && ./pan && spin -t -p $* $(basename "$model")"
  exit 1
fi
echo "holds: $*"
