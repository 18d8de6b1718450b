"""What the interface promises, as a few dictionaries: which members there are, what they hold, and what each call answers."""

LIMITS = {"phone": 3, "email": 5}


class Member:
    def __init__(self, member_id):
        self.id, self.version, self.state = member_id, 1, "ACTIVE"
        self.fields, self.identities = {}, []  # identities: (kind, value) in the order of their binding


class Model:
    """Each call answers the codes that are right ("OK" among them) and applies itself only when it can succeed."""

    def __init__(self):
        self.members = {}
        self.holder = {}

    def _limit_is_broken(self, identities):
        return any(sum(kind == of for kind, _ in identities) > limit for of, limit in LIMITS.items())

    def register_codes(self, identities):
        if self._limit_is_broken(identities):
            return {"LIMIT_EXCEEDED"}
        return {"IDENTITY_TAKEN"} if any(identity in self.holder for identity in identities) else {"OK"}

    def register(self, member_id, fields, identities):
        member = self.members[member_id] = Member(member_id)
        member.fields = {name: value for name, value in fields.items() if value}
        member.identities = list(identities)
        self.holder.update((identity, member_id) for identity in identities)

    def _write_codes(self, member_id, if_match, states):
        """Why a write to a member cannot be; several reasons at once may be told in any order."""
        member = self.members.get(member_id)
        if member is None:
            return {"MEMBER_NOT_FOUND"}
        codes = set()
        if if_match is not None and if_match != member.version:
            codes.add("VERSION_MISMATCH")
        if member.state not in states:
            codes.add("STATE_CONFLICT")
        return codes

    def patch_codes(self, member_id, fields, if_match):
        thaws = fields.get("state") == "ACTIVE" or list(fields) == ["state"]
        return self._write_codes(member_id, if_match, {"ACTIVE", "FROZEN"} if thaws else {"ACTIVE"}) or {"OK"}

    def patch(self, member_id, fields):
        member = self.members[member_id]
        before = (member.state, dict(member.fields))
        for name, value in fields.items():
            if name == "state":
                member.state = value
            elif value:
                member.fields[name] = value
            else:
                member.fields.pop(name, None)
        if (member.state, member.fields) != before:
            member.version += 1

    def bind_codes(self, member_id, identity, if_match):
        codes = self._write_codes(member_id, if_match, {"ACTIVE"})
        member = self.members.get(member_id)
        if member is not None and identity in member.identities:
            return codes or {"OK"}
        if identity in self.holder:
            codes.add("IDENTITY_TAKEN")
        if member is not None and self._limit_is_broken([*member.identities, identity]):
            codes.add("LIMIT_EXCEEDED")
        return codes or {"OK"}

    def bind(self, member_id, identity):
        member = self.members[member_id]
        if identity not in member.identities:
            member.identities.append(identity)
            member.version += 1
            self.holder[identity] = member_id

    def unbind_codes(self, member_id, identity, if_match):
        codes = self._write_codes(member_id, if_match, {"ACTIVE"})
        if member_id in self.members and identity not in self.members[member_id].identities:
            codes.add("IDENTITY_NOT_FOUND")
        return codes or {"OK"}

    def unbind(self, member_id, identity):
        member = self.members[member_id]
        member.identities.remove(identity)
        member.version += 1
        del self.holder[identity]

    def close_codes(self, member_id, if_match):
        return self._write_codes(member_id, if_match, {"ACTIVE", "FROZEN", "CLOSED"}) or {"OK"}

    def close(self, member_id):
        member = self.members[member_id]
        if member.state != "CLOSED":
            for identity in member.identities:
                del self.holder[identity]
            member.identities, member.state = [], "CLOSED"
            member.version += 1
