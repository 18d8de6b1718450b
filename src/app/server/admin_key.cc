#include "app/server/admin_key.h"

#include "app/files.h"

namespace muster {
namespace {

constexpr mode_t kSecretMode = 0600;

Outcome<void> WriteKey(const std::string& path, const std::string& key) {
  return WriteFileDurably(path, key + "\n", kSecretMode);
}

}  // namespace

Outcome<void> EnsureAdminKey(CallerDirectory& callers, const std::string& path) {
  const auto made = callers.EnsureAdmin([&path](const std::string& key) -> Result<void> {
    if (const auto written = WriteKey(path, key); !written) return Fail(Reason::kInternal, written.error().message);
    return {};
  });
  if (!made) return Fails(made.error());
  return {};
}

Outcome<void> ReplaceAdminKey(CallerDirectory& callers, const std::string& path) {
  const auto key = callers.Rotate(kAdminCaller, Duration{0}, Duration{0});
  if (!key) return Fails(key.error());
  return WriteKey(path, key->text);
}

}  // namespace muster
