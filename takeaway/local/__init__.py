"""A local AWS and the processes of the flow on this machine."""

from takeaway.local.aws import (
    DEFAULT_AWS_PORT,
    free_port,
    local_environ,
    require_free,
    save_environ,
    saved_environ,
)
from takeaway.local.backends import BACKENDS, EMBEDDED, LOCAL_AWS, LOCALSTACK_FOLDER, Backend, backend_named
from takeaway.local.guard import authorization, guarded
from takeaway.local.processes import (
    Running,
    Service,
    end_relatives,
    exit_code,
    last_words,
    load_services,
    save_services,
    start_process,
    stop_processes,
    without_secrets,
)

__all__ = [
    "BACKENDS",
    "DEFAULT_AWS_PORT",
    "EMBEDDED",
    "LOCALSTACK_FOLDER",
    "LOCAL_AWS",
    "Backend",
    "Running",
    "Service",
    "authorization",
    "backend_named",
    "end_relatives",
    "exit_code",
    "free_port",
    "guarded",
    "last_words",
    "load_services",
    "local_environ",
    "require_free",
    "save_environ",
    "save_services",
    "saved_environ",
    "start_process",
    "stop_processes",
    "without_secrets",
]
