"""What an AWS service calls what went wrong."""

from botocore.exceptions import ClientError


def error_code(error: BaseException) -> str | None:
    """The service's own code; None for an error that is none of a service's, or has no code."""
    return error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None


def reason_codes(error: BaseException) -> tuple[str, ...]:
    """Of a transaction that DynamoDB has cancelled, why: a code for each of its items, "None" where that had none."""
    reasons = error.response.get("CancellationReasons", []) if isinstance(error, ClientError) else []
    return tuple(reason.get("Code", "None") for reason in reasons)
