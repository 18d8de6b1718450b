#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "bench/http_answer.h"

namespace {

using State = muster::HttpAnswerReader::State;

// What was read, as text. Everything is taken, or the reader has refused.
std::string Read(std::string_view bytes, std::size_t piece) {
  muster::HttpAnswerReader reader;
  std::string read;
  while (!bytes.empty()) {
    std::string_view input = bytes.substr(0, piece);
    bytes.remove_prefix(input.size());
    while (!input.empty()) {
      const std::size_t before = input.size();
      const State state = reader.Take(input);
      if (state == State::kMalformed) return read + "malformed";
      MUSTER_CHECK(input.size() < before);
      if (state == State::kMore) {
        MUSTER_CHECK(input.empty());
      } else {
        read += std::to_string(reader.status()) + std::string(reader.code()) + (reader.closes() ? "/" : ";");
      }
    }
  }
  return read;
}

}  // namespace

// The first byte says into how large pieces the rest is cut; that must not matter.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = Read(bytes, SIZE_MAX);
  MUSTER_CHECK(Read(bytes, std::size_t{data[0]} + 1) == whole);
  MUSTER_CHECK(Read(bytes, 1) == whole);
  return 0;
}
