#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "traffic/callers.h"
#include "traffic/testing/memory_topology.h"

namespace {

struct World {
  muster::MemoryTopology topology;
  muster::SystemRandom random;
  muster::Keyring keyring = muster::Keyring::Generate(random);
  muster::ManualClock clock;
  std::unique_ptr<muster::CallerDirectory> callers = muster::MakeCallerDirectory(topology, keyring, clock, random);

  World() { MUSTER_CHECK(callers->Create({.name = "fuzz", .purpose = "fuzzing", .scopes = {"admin"}}).has_value()); }
};

}  // namespace

// No header authenticates whoever does not have the key.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  const auto caller = world.callers->Authenticate(std::string_view(reinterpret_cast<const char*>(data), size));
  MUSTER_CHECK(!caller.has_value());
  MUSTER_CHECK(caller.error().reason == muster::Reason::kUnauthenticated);
  return 0;
}
