#pragma once

#include <cstdint>
#include <string>

#include "app/cli/terminal.h"

namespace muster {

// What `muster demo` shows when it is ready: where it is, a caller key, and lines that work as pasted into a shell.
struct BannerFacts {
  std::string http_url;      // "http://127.0.0.1:7400"
  std::string grpc_address;  // "127.0.0.1:7401"
  std::string admin_url;
  std::string key;
  std::string admin_key_file;
  std::string program;  // path of this binary
  std::uint64_t members = 0;
  std::string member_id;  // somebody to get
  std::string phone;      // of theirs, E.164
};
std::string RenderBanner(const Terminal& terminal, const BannerFacts& facts);

}  // namespace muster
