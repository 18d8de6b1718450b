#include "app/server/admin_key.h"

#include <algorithm>
#include <vector>

#include "app/files.h"

namespace muster {
namespace {

constexpr mode_t kSecretMode = 0600;

// A topology as if `admin` were not in it; a change that makes `admin` replaces the one that is.
class TopologyWithoutAdmin final : public TopologyStore {
 public:
  explicit TopologyWithoutAdmin(TopologyStore& topology) : topology_(topology) {}

  Result<std::shared_ptr<const TopologyDocument>> Read() override {
    MUSTER_ASSIGN(const auto document, topology_.Read());
    auto without = std::make_shared<TopologyDocument>(*document);
    EraseAdmin(*without);
    return without;
  }
  Result<std::shared_ptr<const TopologyDocument>> Update(
      const std::function<Result<void>(TopologyDocument&)>& change) override {
    return topology_.Update([&change](TopologyDocument& document) {
      EraseAdmin(document);
      return change(document);
    });
  }

 private:
  static void EraseAdmin(TopologyDocument& document) {
    std::erase_if(document.callers, [](const CallerRecord& caller) { return caller.name == kAdminCaller; });
  }
  TopologyStore& topology_;
};

}  // namespace

Outcome<void> EnsureAdminKey(CallerDirectory& callers, const std::string& path) {
  const auto made = callers.EnsureAdmin([&path](const std::string& key) -> Result<void> {
    if (const auto written = WriteFileDurably(path, key + "\n", kSecretMode); !written) {
      return Fail(Reason::kInternal, written.error().message);
    }
    return {};
  });
  if (!made) return Fails(made.error());
  return {};
}

Outcome<void> ReplaceAdminKey(TopologyStore& topology, const Keyring& keyring, const Clock& clock, Random& random,
                              const std::string& path) {
  TopologyWithoutAdmin without_admin(topology);
  return EnsureAdminKey(*MakeCallerDirectory(without_admin, keyring, clock, random), path);
}

}  // namespace muster
