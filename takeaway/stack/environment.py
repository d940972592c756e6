"""What a command works with: the user's variables, then the local AWS that is up, then the stack's outputs."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from foundation import aws
from foundation.settings import variable
from takeaway.errors import UserError
from takeaway.local import LOCAL_AWS, load_services, local_environ, saved_environ
from takeaway.stack import deployment
from takeaway.terminal import DEFAULT_HOME

HOME = Path(os.environ.get("TAKEAWAY_HOME", DEFAULT_HOME))
TOKEN_KEY_FILE = "token.key"  # noqa: S105 - the name of a file

ENVIRONMENT, RUNNING, STACK, DEFAULT = "environment", "running local AWS", "stack's outputs", "default"


@dataclass(frozen=True)
class Source:
    """Variables that have one origin, and its name."""

    name: str
    values: Mapping[str, str]


def origins(sources: Sequence[Source]) -> dict[str, Source]:
    """The source of each variable: the first that knows it. Empty text counts as unset."""
    return {name: source for source in reversed(sources) for name, value in source.values.items() if value}


def merged(sources: Sequence[Source]) -> dict[str, str]:
    """The variables of all sources, each as its origin has it."""
    return {name: source.values[name] for name, source in origins(sources).items()}


def endpoint_sources(home: Path = HOME) -> list[Source]:
    """This process' variables, and the local AWS that `takeaway up` started where they name no endpoint.

    The latter goes first: whatever the user's own AWS settings say, they are not meant for it.
    """
    own = Source(ENVIRONMENT, dict(os.environ))
    url = own.values.get("AWS_ENDPOINT_URL")
    if any(one.name == LOCAL_AWS and one.process() for one in load_services(home / "services.json")):
        running = saved_environ(home)
        # Also where they name just that one: what a shell was told by an earlier one on the same port is over.
        if not url or url.rstrip("/") == running["AWS_ENDPOINT_URL"]:
            return [Source(RUNNING, running), own]
    if url and aws.reaches_only_local(own.values):
        return [own, Source(DEFAULT, local_environ(url))]
    return [own]


def stack_sources(environ: Mapping[str, str]) -> list[Source]:
    """The settings of the deployed stack, weaker than `environ`. Raises `UserError` when there is no such stack.

    Where TAKEAWAY_STREAM is set, as in a container, everything else is expected to be set as well, and CloudFormation
    is not asked.
    """
    if environ.get(variable("stream")):
        return []
    sender = Source(DEFAULT, {variable("sender"): deployment.DEFAULT_SENDER})
    return [sender, Source(STACK, deployment.settings(environ))]


def endpoint(home: Path = HOME) -> dict[str, str]:
    """This process' variables, with the endpoint of the local AWS that `takeaway up` started where none is set."""
    return merged(endpoint_sources(home))


def resolved(home: Path = HOME) -> dict[str, str]:
    """`endpoint()` plus the settings of the deployed stack, without the key of the API's tokens."""
    sources = endpoint_sources(home)
    environ = merged([*sources, *stack_sources(merged(sources))])
    environ.pop(variable("token_key"), None)
    return environ


def signing(environ: Mapping[str, str], home: Path = HOME, *, make_key: bool = False) -> dict[str, str]:
    """`environ` with the key of the API's tokens, for what makes or reads tokens.

    It is the user's own, or that of the API which `takeaway up` started in this home. Only what starts an API makes
    one: no API would take the tokens of another new key. Raises `UserError` where a local stack has none.
    """
    name, path = variable("token_key"), home / TOKEN_KEY_FILE
    own = os.environ.get(name, "")
    if make_key and own:
        deployment.keep_token_key(path, own)
    if own or not aws.reaches_only_local(environ):
        return {**environ, name: own}
    if not make_key and not path.exists():
        raise UserError(
            f"there is no key of the API's tokens: looked in {name} and in {path.resolve()}",
            f"go to the folder where `takeaway up` ran, or name its {home.name} in TAKEAWAY_HOME",
        )
    return {**environ, name: deployment.token_key(path)}


def require_local(environ: dict[str, str], what: str) -> None:
    """Refuses to aim load and mail at real AWS by accident."""
    if not aws.reaches_only_local(environ):
        raise UserError(
            f"{what} would reach real AWS: {environ.get('AWS_ENDPOINT_URL') or 'no local endpoint is set'}",
            "`takeaway up` starts a local AWS, or set AWS_ENDPOINT_URL; --yes-really-aws if you mean it",
        )
