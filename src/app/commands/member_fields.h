#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/cli/command_context.h"

namespace muster {

// An identity as the shell writes it: KIND[@PLATFORM]=VALUE, as in phone=+8613800000001 or unionid@wechat=oA1b2.
struct IdentityText {
  std::string kind;
  std::string platform;
  std::string value;
};
Outcome<IdentityText> ParseIdentityText(const std::string& text);
// {"kind":…,"platform":…,"value":…}, with what binding says of it.
std::string IdentityJson(const IdentityText& identity, bool verified, const std::string& source);

// A member's number: 1 to 2^63 - 1.
Outcome<std::string> CheckMemberId(const std::string& text);

// The fields of a member as flags, for register and update.
struct MemberFields {
  std::string id;  // register only
  std::string display_name, real_name, gender, birth_date, city, tier;
  std::vector<std::string> tags;
  std::vector<std::string> attributes;  // NAME=VALUE
  std::vector<std::string> identities;  // register only
  std::string state;                    // update only
  std::vector<std::string> clear;       // update only: fields in the API's spelling
  std::string json_file;                // the request's body instead of the flags; "-" is standard input
};
void AddFieldFlags(CLI::App& command, MemberFields& fields);

// What register and update send.
struct MemberRequest {
  std::string json;
  std::string update_mask;  // the fields in it and the cleared ones, separated by commas
};
// kUsage: malformed flags, flags beside --json, text that is not UTF-8.
Outcome<MemberRequest> MakeMemberRequest(const MemberFields& fields);

}  // namespace muster
