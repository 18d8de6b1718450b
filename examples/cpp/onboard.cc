// Who is this? Finds the member who holds a phone number, registers one when there is none, and binds an account to it.
//
// onboard ADDRESS KEY_FILE PHONE PLATFORM UNIONID
// Run it as often as you like, and from several places at once: the outcome is one member who holds both.
#include <fstream>
#include <iostream>
#include <set>
#include <string>

#include "members.h"

namespace {

namespace api = muster::v1;
using Stub = Members::Stub;

Outcome FindOrRegister(Members& members, const std::string& phone) {
  api::ResolveMemberRequest question;
  question.set_kind("phone");
  question.set_value(phone);
  Outcome found = members.Call<api::ResolveMemberRequest>(&Stub::ResolveMember, question);
  if (found.reason != "IDENTITY_NOT_FOUND") return found;
  api::RegisterMemberRequest request;
  api::Identity* identity = request.mutable_member()->add_identities();
  identity->set_kind("phone");
  identity->set_value(phone);
  Outcome registered = members.Call<api::RegisterMemberRequest>(&Stub::RegisterMember, request);
  if (registered.reason != "IDENTITY_TAKEN") return registered;
  // Somebody was faster, which is just as well.
  return members.Call<api::ResolveMemberRequest>(&Stub::ResolveMember, question);
}

// Binding what the member holds already changes nothing, so a repetition is harmless.
Outcome Bind(Members& members, api::Member member, const api::Identity& identity) {
  constexpr int kChangedMax = 5;
  for (int changed = 0;; ++changed) {
    api::BindIdentityRequest request;
    request.set_id(member.id());
    request.set_expected_version(member.version());
    *request.mutable_identity() = identity;
    Outcome bound = members.Call<api::BindIdentityRequest>(&Stub::BindIdentity, request);
    if (bound.reason != "VERSION_MISMATCH" || changed == kChangedMax) return bound;
    api::GetMemberRequest again;
    again.set_id(member.id());
    Outcome read = members.Call<api::GetMemberRequest>(&Stub::GetMember, again);
    if (!read.status.ok()) return read;
    member = read.member;
  }
}

Outcome Onboard(Members& members, const std::string& phone, const api::Identity& account) {
  Outcome outcome = FindOrRegister(members, phone);
  if (outcome.status.ok()) outcome = Bind(members, outcome.member, account);
  if (!outcome.status.ok()) return outcome;
  // At least as new as what was just written, whoever answers.
  api::GetMemberRequest request;
  request.set_id(outcome.member.id());
  request.set_min_version(outcome.member.version());
  return members.Call<api::GetMemberRequest>(&Stub::GetMember, request);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::cerr << "usage: onboard ADDRESS KEY_FILE PHONE PLATFORM UNIONID\n";
    return 2;
  }
  std::string key;
  std::ifstream(argv[2]) >> key;
  RetryBudget budget;
  Members members(argv[1], key, budget);
  api::Identity account;
  account.set_kind("unionid");
  account.set_platform(argv[4]);
  account.set_value(argv[5]);
  const Outcome outcome = Onboard(members, argv[3], account);
  if (!outcome.status.ok()) {
    std::cerr << outcome.reason << ": " << outcome.status.error_message() << "\n";
    return 1;
  }
  std::set<std::string> kinds;
  for (const api::Identity& identity : outcome.member.identities()) kinds.insert(identity.kind());
  std::string list;
  for (const std::string& kind : kinds) list += (list.empty() ? "" : ", ") + kind;
  std::cout << "member " << outcome.member.id() << " holds " << list << "\n";
}
