from typing import Any

class Session:
    _service_endpoint_mapping: dict[str, str]
    def __init__(
        self,
        aws_access_key_id: str = ...,
        aws_secret_access_key: str = ...,
        aws_session_token: str = ...,
        region_name: str = ...,
        botocore_session: Any = ...,
        profile_name: str | None = ...,
        localstack_host: str | None = ...,
    ) -> None: ...
    def client(self, service_name: str, **kwargs: Any) -> Any: ...
