"""Values for members that no other test of the run has."""
import itertools

_numbers = itertools.count(1)


def number():
    return next(_numbers)


def phone(index=None):
    """In E.164, so that it is its own normalised form."""
    return f"+86139{number() if index is None else index:08d}"


def phone_identity():
    return {"kind": "phone", "value": phone()}


def email_identity():
    return {"kind": "email", "value": f"person{number()}@example.com"}


def scoped_identity(kind, platform):
    return {"kind": kind, "platform": platform, "value": f"{kind}{number():06d}x"}


def card_identity(platform="store"):
    return {"kind": "card", "platform": platform, "value": f"CARD{number():08d}"}
