"""One CloudFormation stack on any endpoint, and its outputs as the settings of every process."""

import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    WaiterError,
)

from foundation import aws
from foundation.error_codes import error_code
from foundation.settings import variable
from takeaway.errors import UserError
from takeaway.local import LOCALSTACK_FOLDER
from takeaway.terminal import write, write_first

DEFAULT_STACK = "takeaway"
WRONG_KEY = "InvalidClientTokenId"
# What CloudFormation calls it when it knows no stack of that name.
_NO_SUCH_STACK = "ValidationError"
DEFAULT_SENDER = "orders@takeaway.example"


def template() -> str:
    """The text of localstack/resources.yaml of this checkout."""
    path = LOCALSTACK_FOLDER / "resources.yaml"
    if not path.exists():
        raise UserError(f"{path} is missing", "run takeaway from its checkout, installed with `make install`")
    return path.read_text()


def deploy(environ: Mapping[str, str], *, shards: int | None = None) -> dict[str, str]:
    """Creates or updates the stack and answers with its settings. Safe to repeat.

    On a local endpoint the audit's queue comes with it and the sender's address is verified at once; on AWS
    verifying an address is the owner's own act.
    """
    cloudformation = aws.client("cloudformation", environ)
    stack = environ.get(variable("stack"), DEFAULT_STACK)
    local = aws.reaches_only_local(environ)
    parameters = {"WithAuditQueue": "yes" if local else "no"}
    if shards is not None:
        parameters["ShardCount"] = str(shards)
    request: dict[str, Any] = {
        "StackName": stack,
        "TemplateBody": template(),
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    }
    try:
        if _status(cloudformation, stack) is None:
            cloudformation.create_stack(**request)
            _wait(cloudformation, "stack_create_complete", stack, local=local)
        else:
            _update(cloudformation, request, stack, local=local)
        if local:
            aws.client("ses", environ).verify_email_identity(EmailAddress=sender(environ))
    except WaiterError as error:
        raise UserError(
            f"the stack {stack} ended in {_status(cloudformation, stack)}: {_first_failure(cloudformation, stack)}",
            "mend the cause, delete the stack if it is in ROLLBACK_COMPLETE, then deploy again",
        ) from error
    return settings(environ)


def settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The stack's outputs as TAKEAWAY_* variables. Raises `UserError` when there is no such stack."""
    stack = environ.get(variable("stack"), DEFAULT_STACK)
    try:
        found = aws.client("cloudformation", environ).describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if error_code(error) == WRONG_KEY:
            raise wrong_key(error, environ) from error
        where, told = environ.get("AWS_ENDPOINT_URL", "AWS"), error.response["Error"]
        if told.get("Code") != _NO_SUCH_STACK:
            raise UserError(
                f"{where} does not say what the stack {stack!r} is made of: {told.get('Code')}: {told.get('Message')}",
                "check the credentials, and that they allow cloudformation:DescribeStacks; "
                "`aws sts get-caller-identity` says whose they are",
            ) from error
        raise UserError(
            f"no stack {stack!r} at {where}: {told['Message']}",
            "`takeaway deploy`, or name another stack in TAKEAWAY_STACK",
        ) from error
    except (BotoCoreError, aws.NoRegion) as error:
        raise unreachable(error, environ) from error
    outputs = {variable(_snake(o["OutputKey"])): o["OutputValue"] for o in found[0].get("Outputs", [])}
    return {**outputs, variable("sender"): sender(environ)}


def wrong_key(error: ClientError, environ: Mapping[str, str]) -> UserError:
    """What to tell a person whose access key the AWS in use does not know; a local one of ours says what to do."""
    what, _, fix = error.response["Error"]["Message"].partition(" fix: ")
    return UserError(f"{environ.get('AWS_ENDPOINT_URL', 'AWS')}: {what}", fix or "set the access key of that AWS")


def unreachable(error: BotoCoreError | aws.NoRegion, environ: Mapping[str, str]) -> UserError:
    """What to tell a person where there is nobody to ask: no AWS at all, or no answer from the one in use."""
    if isinstance(error, aws.NoRegion) and (environ.get("AWS_ENDPOINT_URL") or aws.finds_credentials(environ)):
        what, _, fix = str(error).partition(" fix: ")
        return UserError(what, fix)
    if isinstance(error, NoCredentialsError | aws.NoRegion):
        return UserError(
            "no local AWS is up, and no AWS credentials are set",
            "`takeaway up` starts a local AWS; or set AWS_ENDPOINT_URL, or AWS credentials and a region",
        )
    url = environ.get("AWS_ENDPOINT_URL")
    if url and isinstance(error, EndpointConnectionError | ConnectTimeoutError):
        return nothing_answers(url)
    return UserError(f"{url or 'AWS'}: {error}", "is it up and deployed? `takeaway up`, or `takeaway deploy`")


def nothing_answers(url: str) -> UserError:
    return UserError(
        f"nothing answers at {url}", "`takeaway up`; or unset AWS_ENDPOINT_URL if this shell's variables are stale"
    )


def sender(environ: Mapping[str, str]) -> str:
    return environ.get(variable("sender"), DEFAULT_SENDER)


def token_key(path: Path) -> str:
    """The local signing key of the orders API, made once, readable by its owner only."""
    if not path.exists():
        write_first(path, secrets.token_hex(32))
    return path.read_text().strip()


def keep_token_key(path: Path, key: str) -> None:
    """So that later commands sign with the key that the API reads with."""
    write(path, key)


def _update(cloudformation: Any, request: dict[str, Any], stack: str, *, local: bool) -> None:
    try:
        cloudformation.update_stack(**request)
    except ClientError as error:
        if "No updates are to be performed" not in error.response["Error"]["Message"]:
            raise
        return
    _wait(cloudformation, "stack_update_complete", stack, local=local)


def _wait(cloudformation: Any, waiter: str, stack: str, *, local: bool) -> None:
    pace = {"Delay": 1, "MaxAttempts": 120} if local else {"Delay": 10, "MaxAttempts": 120}
    cloudformation.get_waiter(waiter).wait(StackName=stack, WaiterConfig=pace)


def _status(cloudformation: Any, stack: str) -> str | None:
    try:
        found = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    return str(found[0]["StackStatus"]) if found else None


def _first_failure(cloudformation: Any, stack: str) -> str:
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
    return (
        f"{failed[-1]['LogicalResourceId']}: {failed[-1].get('ResourceStatusReason')}" if failed else "no reason given"
    )


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
