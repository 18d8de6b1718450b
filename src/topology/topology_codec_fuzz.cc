#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "topology/topology_codec.h"

// Any file is refused or understood; what is understood is written back the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string kPath = "topology.json";
  const auto parsed = muster::ParseTopology(kPath, std::string_view(reinterpret_cast<const char*>(data), size));
  if (!parsed) return 0;
  const std::string text = muster::RenderTopology(*parsed);
  const auto again = muster::ParseTopology(kPath, text);
  MUSTER_CHECK(again.has_value());
  MUSTER_CHECK(muster::RenderTopology(*again) == text);
  return 0;
}
