"""Who is this? Finds the member who holds a phone number, registers one when there is none, and binds an account to it.

onboard_http.py ADDRESS KEY_FILE PHONE PLATFORM UNIONID
Run it as often as you like, and from several places at once: the outcome is one member who holds both.
"""
import pathlib
import sys

from muster_http import Client, MusterError

CHANGED_MAX = 5


def find_or_register(client, phone):
    identity = {"kind": "phone", "value": phone}
    try:
        return client.resolve("phone", phone)
    except MusterError as error:
        if error.code != "IDENTITY_NOT_FOUND":
            raise
    try:
        return client.register({"identities": [identity]})
    except MusterError as error:
        # Somebody was faster, which is just as well.
        if error.code != "IDENTITY_TAKEN":
            raise
    return client.resolve("phone", phone)


def bind(client, member, identity):
    """Binding what the member holds already changes nothing, so a repetition is harmless."""
    for _ in range(CHANGED_MAX):
        try:
            return client.bind(member, identity)
        except MusterError as error:
            if error.code != "VERSION_MISMATCH":
                raise
        member = client.get(member["id"])
    raise MusterError("VERSION_MISMATCH", "the member changes faster than this can follow", retryable=False)


def main(address, key_file, phone, platform, unionid):
    with Client(address, pathlib.Path(key_file).read_text().strip()) as client:
        member = find_or_register(client, phone)
        member = bind(client, member, {"kind": "unionid", "platform": platform, "value": unionid})
        # At least as new as what was just written, whoever answers.
        member = client.get(member["id"], min_version=member["version"])
        print(f"member {member['id']} holds {', '.join(sorted(each['kind'] for each in member['identities']))}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except MusterError as error:
        sys.exit(str(error))
