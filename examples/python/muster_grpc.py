"""What a caller of muster has to do about failures, over gRPC with plain generated stubs; the same rules as muster_http.py.

The server says in a RetryInfo that repeating may help, and how long to wait; its own code is the reason of an ErrorInfo.
"""
import random
import time
import uuid

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from muster_http import ATTEMPTS_MAX, BACKOFF_BASE_S, BACKOFF_MAX_S, RetryBudget
from muster.v1 import member_service_pb2_grpc


def detail_of(error, kind):
    """The detail of that kind in a grpc.RpcError, or None."""
    status = rpc_status.from_call(error)
    for packed in status.details if status else ():
        detail = kind()
        if packed.Unpack(detail):
            return detail
    return None


def reason_of(error):
    """The code of muster's closed table, or empty when muster did not answer."""
    info = detail_of(error, error_details_pb2.ErrorInfo)
    return info.reason if info and info.domain == "muster" else ""


class Members:
    """MemberService: `members.call("GetMember", request)`, with a deadline over all its attempts."""

    def __init__(self, address, key, budget=None, deadline_s=5.0):
        # On one machine; what leaves it goes through a proxy with TLS.
        self._channel = grpc.insecure_channel(address)
        self._stub = member_service_pb2_grpc.MemberServiceStub(self._channel)
        self._key, self._budget, self._deadline_s = key, budget or RetryBudget(), deadline_s

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._channel.close()

    def call(self, rpc, request):
        end = time.monotonic() + self._deadline_s
        # Made once for the call, not for the attempt: this is what makes a repetition safe. Reads ignore it.
        metadata = (("authorization", f"Bearer {self._key}"), ("idempotency-key", str(uuid.uuid4())))
        self._budget.on_call()
        for attempt in range(ATTEMPTS_MAX):
            try:
                return getattr(self._stub, rpc)(request, timeout=max(0.001, end - time.monotonic()), metadata=metadata)
            except grpc.RpcError as error:
                asked_s = self._retry_delay_s(error)
                if asked_s is None:
                    raise
                wait = max(asked_s, random.uniform(0, min(BACKOFF_MAX_S, BACKOFF_BASE_S * 2**attempt)))
                is_last = attempt + 1 == ATTEMPTS_MAX or time.monotonic() + wait >= end
                if is_last or not self._budget.take():
                    raise
            time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    @staticmethod
    def _retry_delay_s(error):
        """How long to wait before the call is repeated, or None when that does not help."""
        info = detail_of(error, error_details_pb2.RetryInfo)
        if info:
            return info.retry_delay.seconds + info.retry_delay.nanos / 1e9
        return 0.0 if error.code() == grpc.StatusCode.UNAVAILABLE and not reason_of(error) else None
