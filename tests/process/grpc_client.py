"""A real gRPC client for tests: grpcio, which is the C core that grpc++ is, too, with the contract's messages as protoc makes them."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import people
from muster_process import DEADLINE_S, ROOT

# Its handlers of fork wait for its threads, sometimes for ever; what tests start are other programs, which need none of it.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

grpc = pytest.importorskip("grpc", reason="python3-grpcio is not installed")
pytest.importorskip("google.protobuf", reason="python3-protobuf is not installed")

PROTO = ROOT / "proto"
PROTO_FILES = ("muster/v1/member_service.proto", "muster/v1/member.proto", "muster/v1/change.proto", "muster/http/v1/http.proto",
               "google/rpc/error_details.proto", "grpc/health/v1/health.proto")


@pytest.fixture(scope="module")
def messages():
    """The contract's messages by their full names, as protoc makes them for Python."""
    if not shutil.which("protoc"):
        pytest.skip("protoc is not installed")
    with tempfile.TemporaryDirectory(prefix="muster-process-") as folder:
        descriptors = pathlib.Path(folder) / "set"
        subprocess.run(["protoc", f"--proto_path={PROTO}", "--include_imports", f"--descriptor_set_out={descriptors}", *PROTO_FILES],
                       check=True)
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
        parsed = descriptor_pb2.FileDescriptorSet.FromString(descriptors.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in parsed.file:
        pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return lambda name: factory.GetPrototype(pool.FindMessageTypeByName(name))


class Calls:
    """Calls of one channel with one key."""

    def __init__(self, address, messages, key=None, **options):
        self.channel = grpc.insecure_channel(address, **options)
        self.messages = messages
        self.metadata = [("authorization", f"Bearer {key}")] if key else []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def method(self, method, request, response):
        return self.channel.unary_unary(f"/muster.v1.MemberService/{method}",
                                        request_serializer=lambda message: message.SerializeToString(),
                                        response_deserializer=self.messages(f"muster.v1.{response}").FromString)

    def call(self, method, response="Member", metadata=(), timeout=DEADLINE_S, **fields):
        request = self.messages(f"muster.v1.{method}Request")(**fields)
        return self.method(method, request, response)(request, timeout=timeout, metadata=[*self.metadata, *metadata])

    def refused(self, method, **fields):
        """The code, the reason and the details of a call that must fail."""
        with pytest.raises(grpc.RpcError) as failure:
            self.call(method, **fields)
        metadata = dict(failure.value.trailing_metadata())
        status = self.messages("google.rpc.Status").FromString(metadata["grpc-status-details-bin"])
        assert status.code == failure.value.code().value[0] and status.message == failure.value.details()
        details = {}
        for detail in status.details:
            name = detail.type_url.rsplit("/", 1)[1]
            details[name] = self.messages(name).FromString(detail.value)
        info = details["google.rpc.ErrorInfo"]
        assert info.domain == "muster" and info.metadata["request_id"] == metadata["request-id"]
        return failure.value.code(), info.reason, details


def phone():
    return {"kind": "phone", "value": people.phone_identity()["value"]}
