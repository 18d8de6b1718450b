// Who is this? Finds the member who holds a phone number, registers one when there is none, and binds an account to it.
//
// onboard ADDRESS KEY_FILE PHONE PLATFORM UNIONID
// Run it as often as you like, and from several places at once: the outcome is one member who holds both.
import { readFileSync } from "node:fs";

import { Members, RetryBudget, isServiceError, reasonOf } from "./members";
import { Identity, Member } from "./stubs/muster/v1/member";
import {
  BindIdentityRequest,
  GetMemberRequest,
  RegisterMemberRequest,
  ResolveMemberRequest,
} from "./stubs/muster/v1/member_service";

const CHANGED_MAX = 5;

async function findOrRegister(members: Members, phone: string): Promise<Member> {
  const question = ResolveMemberRequest.create({ kind: "phone", value: phone });
  try {
    return await members.call(members.stub.resolveMember, question);
  } catch (error) {
    if (reasonOf(error) !== "IDENTITY_NOT_FOUND") throw error;
  }
  const member = { identities: [{ kind: "phone", value: phone }] };
  try {
    return await members.call(members.stub.registerMember, RegisterMemberRequest.create({ member }));
  } catch (error) {
    // Somebody was faster, which is just as well.
    if (reasonOf(error) !== "IDENTITY_TAKEN") throw error;
  }
  return members.call(members.stub.resolveMember, question);
}

// Binding what the member holds already changes nothing, so a repetition is harmless.
async function bind(members: Members, member: Member, identity: Identity): Promise<Member> {
  for (let changed = 0; ; changed += 1) {
    const request = BindIdentityRequest.create({ id: member.id, identity, expectedVersion: member.version });
    try {
      return await members.call(members.stub.bindIdentity, request);
    } catch (error) {
      if (reasonOf(error) !== "VERSION_MISMATCH" || changed === CHANGED_MAX) throw error;
    }
    member = await members.call(members.stub.getMember, GetMemberRequest.create({ id: member.id }));
  }
}

async function main(address: string, keyFile: string, phone: string, platform: string, unionid: string): Promise<void> {
  const members = new Members(address, readFileSync(keyFile, "utf8").trim(), new RetryBudget());
  try {
    let member = await findOrRegister(members, phone);
    member = await bind(members, member, Identity.create({ kind: "unionid", platform, value: unionid }));
    // At least as new as what was just written, whoever answers.
    const latest = GetMemberRequest.create({ id: member.id, minVersion: member.version });
    member = await members.call(members.stub.getMember, latest);
    const kinds = member.identities.map((identity) => identity.kind).sort();
    console.log(`member ${member.id} holds ${kinds.join(", ")}`);
  } finally {
    members.close();
  }
}

const [address, keyFile, phone, platform, unionid] = process.argv.slice(2);
if (address === undefined || keyFile === undefined || phone === undefined || platform === undefined || unionid === undefined) {
  console.error("usage: onboard ADDRESS KEY_FILE PHONE PLATFORM UNIONID");
  process.exit(2);
}
main(address, keyFile, phone, platform, unionid).catch((error: unknown) => {
  console.error(`${reasonOf(error)}: ${isServiceError(error) ? error.details : String(error)}`);
  process.exitCode = 1;
});
