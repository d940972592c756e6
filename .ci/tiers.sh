# What .ci/run and .ci/nightly share: tiers that are run one after the other, and an account of them at the end.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
unset VIRTUAL_ENV PYTHONPATH PYTHONHOME

ran=() failed=() not_run=()

# tier NAME COMMAND...: one that fails does not keep the others from being run.
tier() {
  local name=$1 began=$SECONDS
  shift
  echo "== $name"
  if "$@"; then ran+=("$name: $((SECONDS - began)) s"); else failed+=("$name: $((SECONDS - began)) s"); fi
}

# tier_if CHECK NAME COMMAND...: a tier for which this machine may lack something, as the check says on its standard error.
tier_if() {
  local check=$1 why
  shift
  if why=$($check 2>&1 >/dev/null); then tier "$@"; else not_run+=("$1: ${why%%$'\n'*}"); fi
}

java_is_there() {
  java -version >/dev/null 2>&1 || { echo "there is no Java that runs" >&2; return 1; }
}

# The account, and the exit status.
account() {
  local each
  echo
  echo "== $((SECONDS / 60)) min $((SECONDS % 60)) s in all"
  for each in ${ran[@]+"${ran[@]}"}; do echo "passed   $each"; done
  for each in ${failed[@]+"${failed[@]}"}; do echo "FAILED   $each"; done
  for each in ${not_run[@]+"${not_run[@]}"}; do echo "NOT RUN  $each"; done
  [ ${#failed[@]} -eq 0 ]
}
