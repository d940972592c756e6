"""What a command works with: the user's variables, then the local AWS that is up, then the stack's outputs."""

import os
from pathlib import Path

from foundation.settings import variable
from takeaway import deployment, local_aws, processes
from takeaway.errors import UserError

HOME = Path(os.environ.get("TAKEAWAY_HOME", ".takeaway"))
LOCAL_AWS = "local-aws"


def endpoint(home: Path = HOME) -> dict[str, str]:
    """This process' variables, with the endpoint of the local AWS that `takeaway up` started where none is set."""
    environ = dict(os.environ)
    if environ.get("AWS_ENDPOINT_URL"):
        if local_aws.reaches_only_local(environ):
            environ = {**local_aws.local_environ(environ["AWS_ENDPOINT_URL"]), **environ}
        return environ
    running = [one for one in processes.load(home / "services.json") if one.name == LOCAL_AWS and one.process()]
    if running:
        environ |= local_aws.local_environ((home / "endpoint").read_text())
    return environ


def resolved(home: Path = HOME) -> dict[str, str]:
    """`endpoint()` plus the settings of the deployed stack, and the token key of a local one. Sets `os.environ` too.

    boto3 reads the process' environment, so what is resolved is also what it sees. Where TAKEAWAY_STREAM is set,
    as in a container, everything else is expected to be set as well, and CloudFormation is not asked.
    """
    environ = endpoint(home)
    os.environ.update(environ)
    if not environ.get(variable("stream")):
        environ = {**deployment.settings(environ), **environ}
    if local_aws.reaches_only_local(environ) and not environ.get(variable("token_key")):
        environ[variable("token_key")] = deployment.token_key(home / "token.key")
    os.environ.update(environ)
    return environ


def require_local(environ: dict[str, str], what: str) -> None:
    """Refuses to aim load and mail at real AWS by accident."""
    if not local_aws.reaches_only_local(environ):
        raise UserError(
            f"{what} would reach real AWS: {environ.get('AWS_ENDPOINT_URL') or 'no local endpoint is set'}",
            "`takeaway up` starts a local AWS, or set AWS_ENDPOINT_URL; --yes-really-aws if you mean it",
        )
