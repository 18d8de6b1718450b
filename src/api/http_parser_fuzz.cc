#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/http_request_reader.h"
#include "base/check.h"

// What is read of an input must not depend on how it was cut into pieces. The first byte of the data seeds the cuts.

namespace {

using namespace muster;

constexpr HttpLimits kLimits{.target_bytes_max = 64, .header_bytes_max = 256, .body_bytes_max = 128};

void Write(std::string& transcript, const HttpHead& head) {
  const auto put = [&transcript](std::string_view text) { transcript.append(text).push_back('\0'); };
  const HttpRequest& request = head.request;
  MUSTER_CHECK(request.target.size() <= kLimits.target_bytes_max && request.body.size() <= kLimits.body_bytes_max);
  MUSTER_CHECK(request.headers.size() <= kHttpHeadersMax);
  put(request.method_name);
  put(request.target);
  put(request.path);
  put(request.query);
  for (const HttpHeader& header : request.headers) {
    put(header.name);
    put(header.value);
    MUSTER_CHECK(header.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
  }
  put(request.body);
  transcript.push_back(head.keep_alive ? 'k' : 'c');
}

// In one piece without a seed.
std::string Read(std::string_view input, std::optional<std::uint32_t> seed) {
  const auto head = std::make_unique<HttpHead>();
  HttpRequestReader reader(kLimits);
  std::string transcript;
  std::string kept;
  while (!input.empty()) {
    std::size_t piece = input.size();
    if (seed) {
      *seed = *seed * 1664525 + 1013904223;
      piece = std::min<std::size_t>(1 + (*seed >> 24) % 32, piece);
    }
    kept += input.substr(0, piece);
    input.remove_prefix(piece);
    std::size_t taken = 0;
    while (taken < kept.size()) {
      // As the connection does: what has arrived lies in memory of exactly its size, so that reading past it is found.
      const std::vector<char> exact(kept.begin() + static_cast<std::ptrdiff_t>(taken), kept.end());
      HttpRejection rejection;
      std::size_t consumed = 0;
      const HttpParse parse = reader.Next({exact.data(), exact.size()}, *head, consumed, rejection);
      MUSTER_CHECK(consumed <= exact.size());
      taken += consumed;
      if (parse == HttpParse::kIncomplete) break;
      if (parse == HttpParse::kRejected)
        return transcript.append(std::to_string(rejection.status)).append(rejection.detail);
      MUSTER_CHECK(consumed > 0);
      Write(transcript, *head);
      reader.Forget();
    }
    kept.erase(0, taken);
  }
  return transcript;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  MUSTER_CHECK(Read(input, data[0]) == Read(input, {}));
  return 0;
}
