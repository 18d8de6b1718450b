#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/load_call.h"

namespace muster {

// A call's message, of muster.v1.MemberService, with the five bytes that gRPC puts before it.
void AppendGrpcMessage(std::string& out, const LoadCall& call);
// No message is larger.
inline constexpr std::size_t kGrpcMessageBytesMax = 16'000;

// The header blocks of one connection's calls in HPACK (RFC 7541): literals that enter the server's table the first
// time, a byte each from then on.
class GrpcHeadWriter {
 public:
  // Without a `key` no authorization is sent.
  GrpcHeadWriter(std::string_view authority, std::string_view key);

  // On a new connection the table is empty.
  void Reset();
  void Append(std::string& out, LoadVerb verb);

 private:
  void AppendField(std::string& out, std::uint32_t& position, std::string_view name, std::string_view value);

  struct Field {
    std::string name;
    std::string value;
    std::uint32_t position = 0;
  };
  std::vector<Field> fields_;
  std::array<std::uint32_t, kVerbCount> paths_{};
  std::uint32_t entries_ = 0;  // in the table
};

}  // namespace muster
