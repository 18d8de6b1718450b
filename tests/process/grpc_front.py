"""MemberService over gRPC in front of a server's HTTP API, for trying clients: it fails on purpose and by count.

grpc_front.py HTTP_ADDRESS FAULT…   (with the stubs of examples/python on PYTHONPATH)
Prints its address, then one line of JSON for each call: {"rpc":…,"key":…,"deadlineS":…}. Faults are for the first calls, one
each: "refuse" (OVERLOADED with a RetryInfo of one second, the server is not asked), "lose" (the server does it, the caller is
told that the connection broke), "pass". Ends with its standard input.
"""
import http.client
import json
import sys
import threading
import urllib.parse
from concurrent import futures

import grpc
from google.protobuf import any_pb2, duration_pb2, json_format
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from muster.v1 import member_pb2, member_service_pb2 as api

UNAVAILABLE, FAILED_PRECONDITION = 14, 9


def http_request(rpc, request):
    """Method, path, body and If-Match."""
    if rpc == "ResolveMember":
        query = {"kind": request.kind, "value": request.value, **({"platform": request.platform} if request.platform else {})}
        return "GET", "/v1/members:resolve?" + urllib.parse.urlencode(query), None, 0
    if rpc == "GetMember":
        return "GET", f"/v1/members/{request.id}?minVersion={request.min_version}", None, 0
    if rpc == "RegisterMember":
        return "POST", "/v1/members", json_format.MessageToJson(request.member), 0
    identity = json_format.MessageToDict(request.identity)
    return "POST", f"/v1/members/{request.id}:bind", json.dumps({"identity": identity}), request.expected_version


def failure(reason, message, is_retryable, code=FAILED_PRECONDITION, delay_s=0):
    details = [error_details_pb2.ErrorInfo(reason=reason, domain="muster")]
    if is_retryable:
        details.append(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=delay_s)))
    packed = [any_pb2.Any() for _ in details]
    for into, detail in zip(packed, details):
        into.Pack(detail)
    return rpc_status.to_status(status_pb2.Status(code=code, message=message, details=packed))


class Front:
    def __init__(self, address, faults):
        self._address, self._faults, self._lock = address, list(faults), threading.Lock()

    def handler(self, rpc, request_type):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._call(rpc, request, context),
                                                   request_type.FromString, member_pb2.Member.SerializeToString)

    def _call(self, rpc, request, context):
        metadata = dict(context.invocation_metadata())
        with self._lock:
            fault = self._faults.pop(0) if self._faults else "pass"
            print(json.dumps({"rpc": rpc, "key": metadata.get("idempotency-key"), "deadlineS": context.time_remaining()}),
                  flush=True)
        if fault == "refuse":
            context.abort_with_status(failure("OVERLOADED", "on purpose", True, UNAVAILABLE, 1))
        method, path, body, version = http_request(rpc, request)
        headers = {"Authorization": metadata.get("authorization", "")}
        headers |= {"If-Match": f'"{version}"'} if version else {}
        headers |= {"Content-Type": "application/json"} if body else {}
        headers |= {"Idempotency-Key": f'"{metadata["idempotency-key"]}"'} if "idempotency-key" in metadata else {}
        host, port = self._address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = json.loads(answer.read())
        connection.close()
        if fault == "lose":
            context.abort(grpc.StatusCode.UNAVAILABLE, "the connection broke")
        if answer.status >= 300:
            context.abort_with_status(failure(content["code"], content["detail"], content["retryable"]))
        return json_format.ParseDict(content, member_pb2.Member())


def main(address, *faults):
    front = Front(address, faults)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    requests = {"ResolveMember": api.ResolveMemberRequest, "GetMember": api.GetMemberRequest,
                "RegisterMember": api.RegisterMemberRequest, "BindIdentity": api.BindIdentityRequest}
    handlers = {rpc: front.handler(rpc, request_type) for rpc, request_type in requests.items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("muster.v1.MemberService", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    server.stop(grace=1).wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
