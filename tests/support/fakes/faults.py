"""Faults a test writes down beforehand, for any fake of an AWS service."""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast

from botocore.errorfactory import ClientExceptionsFactory
from botocore.exceptions import ClientError, ParamValidationError, ReadTimeoutError
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

_SERVER_ERRORS = {"InternalFailure": 500, "InternalServerError": 500, "ServiceUnavailable": 503}


_EXCEPTIONS = ClientExceptionsFactory()  # remembers what it made for each service


@cache
def _model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


class Service:
    """The part all fakes share: botocore's own parameter checks and error classes, scripted faults, and a call log."""

    def __init__(self, name: str) -> None:
        self._model = _model(name)
        self._validator = ParamValidator()
        self._faults: dict[str, deque[Exception]] = defaultdict(deque)
        self._lost_answers: dict[str, deque[Exception]] = defaultdict(deque)
        self._operations = {operation.lower(): operation for operation in self._model.operation_names}
        self.exceptions = _EXCEPTIONS.create_client_exceptions(self._model)
        self.lock = threading.RLock()
        self.log: list[tuple[str, dict[str, Any]]] = []

    def fail(self, operation: str, error: str | Exception, times: int = 1) -> None:
        """The next `times` calls raise before anything is applied; a text is the code of a `ClientError`."""
        exception = self.error(operation, error, "scripted fault") if isinstance(error, str) else error
        self._faults[operation].extend([exception] * times)

    def lose_answer(self, operation: str, times: int = 1, error: Exception | None = None) -> None:
        """The next `times` calls are applied, and then raise a connection error (a read timeout by default)."""
        self._lost_answers[operation].extend([error or ReadTimeoutError(endpoint_url="http://fake")] * times)

    def calls(self, operation: str) -> list[dict[str, Any]]:
        """The parameters of every call of an operation so far, refused ones included."""
        return [parameters for called, parameters in self.log if called == operation]

    def error(self, operation: str, code: str, message: str) -> ClientError:
        """The exception botocore raises for this code."""
        answer: Any = {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": _SERVER_ERRORS.get(code, 400), "RequestId": "fake"},
        }
        # The stubs take the class that from_code answers for an instance of it.
        exception = cast("type[ClientError]", self.exceptions.from_code(code))
        return exception(answer, self._operation(operation))

    def call(
        self, operation: str, apply: Callable[..., Mapping[str, Any]], parameters: dict[str, Any]
    ) -> dict[str, Any]:
        """Checks, scripted faults, the work itself, then a lost answer if one is due."""
        shape = self._model.operation_model(self._operation(operation)).input_shape
        assert shape is not None
        report = self._validator.validate(parameters, shape)
        if report.has_errors():
            raise ParamValidationError(report=report.generate_report())
        with self.lock:
            self.log.append((operation, parameters))
            if self._faults[operation]:
                raise self._faults[operation].popleft()
            answer = dict(apply(**parameters))
            if self._lost_answers[operation]:
                raise self._lost_answers[operation].popleft()
        return answer | {"ResponseMetadata": {"HTTPStatusCode": 200, "RequestId": "fake", "RetryAttempts": 0}}

    def _operation(self, method: str) -> str:
        return self._operations[method.replace("_", "")]
