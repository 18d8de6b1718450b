"""onboard_http.py over gRPC.

onboard_grpc.py ADDRESS KEY_FILE PHONE PLATFORM UNIONID
"""
import pathlib
import sys

import grpc

from muster.v1 import member_pb2, member_service_pb2 as api
from muster_grpc import Members, reason_of

CHANGED_MAX = 5


def find_or_register(members, phone):
    question = api.ResolveMemberRequest(kind="phone", value=phone)
    try:
        return members.call("ResolveMember", question)
    except grpc.RpcError as error:
        if reason_of(error) != "IDENTITY_NOT_FOUND":
            raise
    member = member_pb2.Member(identities=[member_pb2.Identity(kind="phone", value=phone)])
    try:
        return members.call("RegisterMember", api.RegisterMemberRequest(member=member))
    except grpc.RpcError as error:
        # Somebody was faster, which is just as well.
        if reason_of(error) != "IDENTITY_TAKEN":
            raise
    return members.call("ResolveMember", question)


def bind(members, member, identity):
    """Binding what the member holds already changes nothing, so a repetition is harmless."""
    for _ in range(CHANGED_MAX):
        try:
            return members.call("BindIdentity", api.BindIdentityRequest(id=member.id, identity=identity,
                                                                        expected_version=member.version))
        except grpc.RpcError as error:
            if reason_of(error) != "VERSION_MISMATCH":
                raise
        member = members.call("GetMember", api.GetMemberRequest(id=member.id))
    sys.exit("the member changes faster than this can follow")


def main(address, key_file, phone, platform, unionid):
    with Members(address, pathlib.Path(key_file).read_text().strip()) as members:
        member = find_or_register(members, phone)
        member = bind(members, member, member_pb2.Identity(kind="unionid", platform=platform, value=unionid))
        # At least as new as what was just written, whoever answers.
        member = members.call("GetMember", api.GetMemberRequest(id=member.id, min_version=member.version))
        print(f"member {member.id} holds {', '.join(sorted(each.kind for each in member.identities))}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except grpc.RpcError as failure:
        sys.exit(f"{reason_of(failure)}: {failure.details()}")
