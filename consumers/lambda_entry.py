"""The deployed name of the Lambda handler, `consumers.lambda_entry.handle`: a function's settings hold it."""

from consumers.entrypoints.aws_lambda import handle

__all__ = ["handle"]
