#!/usr/bin/env bash
# LocalStack 4.14.0 in Docker, from compose.yaml, with the same commands as host.sh.
#   docker.sh check     whether Docker's engine answers
#   docker.sh install   fetches the image
#   docker.sh run PORT  LocalStack on 127.0.0.1:PORT, in the foreground; it takes its container with it
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() {
  printf 'error: %s\nfix: %s\n' "$1" "$2" >&2
  exit 2
}

check() {
  command -v docker >/dev/null || fail "there is no docker here" "install Docker, or choose another back end: embedded, localstack"
  docker info >/dev/null 2>&1 ||
    fail "Docker's engine does not answer" "start it, or choose another back end: embedded, localstack"
  docker compose version >/dev/null 2>&1 || fail "docker has no compose" "install the Docker Compose plugin"
}

compose() {
  docker compose --project-name "takeaway-${TAKEAWAY_AWS_PORT:-4566}" --file "$here/compose.yaml" "$@"
}

run() {
  export TAKEAWAY_AWS_PORT=$1
  check
  trap 'compose down --volumes --timeout 3' EXIT
  trap 'exit 143' TERM INT
  compose up --no-color &
  wait "$!"
}

case "${1:-}:$#" in
  check:1) check ;;
  install:1) check && compose pull --quiet ;;
  run:2) run "$2" ;;
  *) fail "docker.sh does not know: $*" "docker.sh check, docker.sh install, or docker.sh run PORT" ;;
esac
