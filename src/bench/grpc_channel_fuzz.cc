#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "base/check.h"
#include "bench/grpc_channel.h"

// What a server may send. However its bytes arrive, each call is answered at most once.

namespace {

using namespace muster;

struct Sink final : LoadAnswerSink {
  void OnAnswer(const LoadAnswer& answer) override { MUSTER_CHECK(under_way.erase(answer.token) == 1); }
  std::set<std::uint32_t> under_way;
};

}  // namespace

// The first byte is how many bytes arrive at a time.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t step = data[0] == 0 ? size : data[0];
  std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  GrpcChannel channel("fuzz", "", 8);
  std::string out;
  Sink sink;
  channel.Begin(out);
  const std::array ids = {MemberId(1)};
  std::uint32_t token = 0;
  while (!input.empty()) {
    for (; channel.has_room(); ++token) {
      channel.Append(out, {.verb = LoadVerb::kGet, .ids = ids}, {.token = token});
      sink.under_way.insert(token);
    }
    if (!channel.Take(input.substr(0, step), BenchTime(1), out, sink)) break;
    input.remove_prefix(std::min(step, input.size()));
    MUSTER_CHECK(channel.under_way() == sink.under_way.size());
    out.clear();
  }
  while (channel.under_way() > 0) MUSTER_CHECK(sink.under_way.erase(channel.Drop().token) == 1);
  MUSTER_CHECK(sink.under_way.empty());
  return 0;
}
