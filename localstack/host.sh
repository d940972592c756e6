#!/usr/bin/env bash
# LocalStack 4.14.0 without Docker, from PyPI, below .localstack/: the last release that needs no token.
#   host.sh check     prints the Python 3.13 that it would use
#   host.sh install   makes .localstack/venv from host.lock.txt, and fetches its Kinesis from npm, once
#   host.sh run PORT  becomes LocalStack, on 127.0.0.1:PORT, in the foreground
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=$(dirname "$here")/.localstack
venv=$home/venv

fail() {
  printf 'error: %s\nfix: %s\n' "$1" "$2" >&2
  exit 2
}

# A name on PATH proves little: pyenv's shims exist for versions that are not selected, and then do not run.
is_python313() {
  [ "$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = 3.13 ]
}

python313() {
  if [ -n "${TAKEAWAY_PYTHON313:-}" ]; then
    is_python313 "$TAKEAWAY_PYTHON313" ||
      fail "TAKEAWAY_PYTHON313=$TAKEAWAY_PYTHON313 is no Python 3.13" "name one that runs, or unset the variable"
    echo "$TAKEAWAY_PYTHON313"
    return
  fi
  local candidate
  for candidate in python3.13 "$HOME"/.pyenv/versions/3.13*/bin/python; do
    if is_python313 "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  fail "LocalStack 4.14 without Docker needs Python 3.13, and there is none here" \
    "install one (pyenv install 3.13, uv python install 3.13), or name it in TAKEAWAY_PYTHON313; the embedded back end needs nothing"
}

# What the environment was made from: it is made again when any of this changes.
recipe() {
  cat "$here/host.lock.txt" "$here"/dynamodb_on_moto/*.toml "$here"/dynamodb_on_moto/*.py | cksum
}

# A folder of its own for this LocalStack, which empties its temporary folder when it starts and when it ends: two of
# them must not share one. They share `lib`, which holds what it installs by itself: Kinesis.
prepare() {
  local state=$home/state/$$ ended
  for ended in "$home"/state/*; do
    kill -0 "${ended##*/}" 2>/dev/null || rm -rf "$ended"
  done
  mkdir -p "$state/tmp" "$state/var/lib/localstack" "$home/lib"
  ln -s "$home/lib" "$state/var/lib/localstack/lib"
  export PATH="$venv/bin:$PATH"
  export OVERRIDE_IN_DOCKER=0 FILESYSTEM_ROOT="$state" TMPDIR="$state/tmp" NODE_DISABLE_COMPILE_CACHE=1
}

# LocalStack would do so at its first CreateStream: too late without a network, and twice where two of them start.
install_kinesis() {
  prepare
  "$venv/bin/python" -c 'from localstack.services.kinesis.packages import kinesismock_package as p; p.install()'
}

install() {
  if [ "$(cat "$venv/recipe" 2>/dev/null)" = "$(recipe)" ]; then return; fi
  local python log=$home/install.log
  python=$(python313)
  mkdir -p "$home"
  echo "making $venv: LocalStack 4.14.0, about a minute and 700 MB, once"
  {
    "$python" -m venv --clear "$venv" &&
      "$venv/bin/python" -m pip install --disable-pip-version-check --require-hashes -r "$here/host.lock.txt" &&
      rm -rf "$home/dynamodb_on_moto" && cp -R "$here/dynamodb_on_moto" "$home/" &&
      "$venv/bin/python" -m pip install --disable-pip-version-check --no-deps --no-build-isolation "$home/dynamodb_on_moto" &&
      install_kinesis
  } >"$log" 2>&1 || fail "LocalStack could not be installed: $(tail -n 1 "$log")" "read $log, mend the cause, and try again"
  recipe >"$venv/recipe"
}

run() {
  local port=$1
  [ -f "$venv/recipe" ] || fail "$venv is not there" "$here/host.sh install"
  prepare
  # Its default server ignores the address of GATEWAY_LISTEN and binds 0.0.0.0; hypercorn does not.
  export GATEWAY_SERVER=hypercorn GATEWAY_LISTEN="127.0.0.1:$port" LOCALSTACK_HOST="127.0.0.1:$port"
  export SERVICES=cloudformation,cloudwatch,dynamodb,iam,kinesis,kms,s3,ses,sns,sqs,sts EAGER_SERVICE_LOADING=1
  # S3 would answer pages of any origin by itself.
  export DISABLE_CUSTOM_CORS_S3=1
  export DISABLE_EVENTS=1 SKIP_SSL_CERT_DOWNLOAD=1 SQS_ENDPOINT_STRATEGY=off
  # A bare number of milliseconds: with a unit, kinesis-mock ends and is started again for ever.
  export KINESIS_LATENCY=0 KINESIS_PERSISTENCE=0
  # Its account would be full after ten streams, each a test's own.
  export KINESIS_ON_DEMAND_STREAM_COUNT_LIMIT=1000 KINESIS_SHARD_LIMIT=1000
  export PROVIDER_OVERRIDE_DYNAMODB=moto PROVIDER_OVERRIDE_DYNAMODBSTREAMS=moto
  exec "$venv/bin/python" -m localstack.runtime.main
}

case "${1:-}:$#" in
  check:1) python313 ;;
  install:1) install ;;
  run:2) run "$2" ;;
  *) fail "host.sh does not know: $*" "host.sh check, host.sh install, or host.sh run PORT" ;;
esac
