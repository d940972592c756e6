"""The contract: what travels on the stream. Values only; no IO, no boto3, no settings, no clock."""
