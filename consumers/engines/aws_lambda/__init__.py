"""The engine under a Lambda event source mapping."""

from consumers.engines.aws_lambda.function import Answer, KinesisFunction

__all__ = ["Answer", "KinesisFunction"]
