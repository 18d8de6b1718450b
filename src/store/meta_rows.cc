#include "store/meta_rows.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/check.h"
#include "base/encoding.h"

namespace muster {
namespace {

std::string NormaliserText(Normaliser normaliser) {
  switch (normaliser) {
    case Normaliser::kPhone:
      return "phone";
    case Normaliser::kEmail:
      return "email";
    case Normaliser::kOpaque:
      return "opaque";
    case Normaliser::kCard:
      return "card";
    case Normaliser::kAccount:
      return "account";
    case Normaliser::kDocument:
      return "document";
  }
  MUSTER_UNREACHABLE("a normaliser outside its enumeration");
}

// What a kind's identities are found by.
std::string DeclarationOf(const IdentityKind& kind) {
  return NormaliserText(kind.normaliser) + (kind.scope == UniquenessScope::kGlobal ? " global" : " platform");
}

Result<void> CheckKind(const std::string& where, const IdentityCatalog& catalog, const std::string& name,
                       const std::string& stored) {
  const IdentityKind* kind = catalog.Find(name);
  if (kind == nullptr) {
    return Fail(Reason::kInternal, where + ": the identity kind \"" + name +
                                       "\" is not declared any more, and members may hold identities of it: declare "
                                       "it as \"" +
                                       stored + "\"; with members_limit = 0 no more of it are bound");
  }
  const std::string declared = DeclarationOf(*kind);
  if (declared == stored) return {};
  return Fail(Reason::kInternal,
              where + ": the identity kind \"" + name + "\" was declared as \"" + stored + "\" and is now \"" +
                  declared +
                  "\", under which its identities would not be found: declare it as it was, or choose a new name");
}

// Names of meta rows.
constexpr const char* kHashMark = "keyring";
constexpr const char* kSealMarkPrefix = "keyring.seal.";
constexpr const char* kKindPrefix = "kind.";

// A hash of one of the keyring's keys: tells keys apart and tells nothing of them.
std::string MarkOf(const Keyring& keyring, std::string_view name, std::span<const std::uint8_t> key) {
  const std::array<std::string_view, 3> message = {
      "muster keyring", name, std::string_view(reinterpret_cast<const char*>(key.data()), key.size())};
  return ToHex(KeyedHash(keyring.hash_key()).Hash(message));
}

}  // namespace

MetaRows KeyringRows(const Keyring& keyring) {
  MetaRows rows = {{kHashMark, MarkOf(keyring, "hash", {})}};
  for (const auto& [id, key] : keyring.seal_keys()) {
    const std::string name = std::to_string(id);
    rows.emplace_back(kSealMarkPrefix + name, MarkOf(keyring, name, key));
  }
  return rows;
}

Result<void> CheckKeyringRows(const std::string& where, const MetaRows& stored, const Keyring& keyring) {
  const std::string_view prefix = kSealMarkPrefix;
  for (const auto& [name, mark] : stored) {
    if (name == kHashMark && mark != MarkOf(keyring, "hash", {})) {
      return Fail(Reason::kInternal, where +
                                         " was made with another keyring, under which alone its identities can be "
                                         "found: put back the keyring file that belongs to this data");
    }
    if (!name.starts_with(prefix)) continue;
    const std::string id = name.substr(prefix.size());
    const auto key =
        std::ranges::find_if(keyring.seal_keys(), [&](const auto& entry) { return std::to_string(entry.first) == id; });
    if (key != keyring.seal_keys().end() && mark == MarkOf(keyring, id, key->second)) continue;
    std::string message = where;
    message.append(" may hold members sealed with key ").append(id);
    message.append(
        " of another state of the keyring, which nothing else can read: put back the newest copy of the keyring file "
        "that belongs to this data");
    return Fail(Reason::kInternal, std::move(message));
  }
  return {};
}

MetaRows CatalogRows(const IdentityCatalog& catalog) {
  MetaRows rows;
  for (const IdentityKind& kind : catalog.kinds()) rows.emplace_back(kKindPrefix + kind.name, DeclarationOf(kind));
  return rows;
}

Result<void> CheckCatalogRows(const std::string& where, const MetaRows& stored, const IdentityCatalog& catalog) {
  const std::string_view prefix = kKindPrefix;
  for (const auto& [name, declaration] : stored) {
    if (name.starts_with(prefix)) MUSTER_TRY(CheckKind(where, catalog, name.substr(prefix.size()), declaration));
  }
  return {};
}

}  // namespace muster
