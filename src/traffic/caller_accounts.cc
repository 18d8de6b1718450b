#include "traffic/caller_accounts.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/options.h"
#include "domain/normalise.h"
#include "traffic/scopes.h"

namespace muster {
namespace {

constexpr std::size_t kNameSizeMax = 63;

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// True when `caller` could administrate now.
bool Administrates(const CallerRecord& caller, Timestamp now) {
  return !caller.disabled && std::ranges::count(caller.scopes, ScopeName(Scope::kAdmin)) > 0 &&
         std::ranges::any_of(caller.keys, [now](const auto& key) { return !HasExpired(key.expire_time, now); });
}

}  // namespace

Result<void> CheckCallerName(std::string_view name) {
  const bool fits = !name.empty() && name.size() <= kNameSizeMax && IsLower(name.front()) &&
                    std::ranges::all_of(name, [](char c) { return IsLower(c) || IsDigit(c) || c == '-'; });
  if (!fits) return FailField("name", "must be 1 to 63 characters of a-z, 0-9 and '-', a letter first");
  return {};
}

Result<void> CheckPurpose(std::string_view purpose) {
  if (purpose.empty()) return FailField("purpose", "say what the caller uses muster for");
  if (purpose.size() > kPurposeBytesMax) {
    return FailField("purpose", "must be at most " + std::to_string(kPurposeBytesMax) + " bytes of UTF-8");
  }
  if (!IsValidUtf8(purpose) || HasControlCharacter(purpose))
    return FailField("purpose", "must be valid UTF-8 without control characters");
  return {};
}

Result<void> CheckKeyLifetime(Duration lifetime) {
  if (lifetime < Duration::zero() || lifetime > kKeyLifetimeMax) {
    return FailField("keyLifetime", "must be at most 3660 days; leave it out for a key that does not end");
  }
  return {};
}

Result<void> CheckOverlap(Duration overlap) {
  if (overlap < Duration::zero() || overlap > kRotationOverlapMax) return FailField("overlap", "must be 0 to 90 days");
  return {};
}

Result<void> CheckKeyId(const TopologyDocument& document, std::string_view id) {
  for (const CallerRecord& caller : document.callers) {
    if (std::ranges::count(caller.keys, id, &CallerRecord::Key::id) > 0) {
      return Fail(Reason::kInternal, "the new key's id is in use, by chance; nothing was changed, try again");
    }
  }
  return {};
}

CallerRecord* FindCaller(TopologyDocument& document, std::string_view name) {
  const auto found = std::ranges::find(document.callers, name, &CallerRecord::name);
  return found == document.callers.end() ? nullptr : &*found;
}

Result<CallerRecord*> RequireCaller(TopologyDocument& document, std::string_view name) {
  MUSTER_TRY(CheckCallerName(name));
  if (CallerRecord* caller = FindCaller(document, name)) return caller;
  std::vector<std::string> known;
  known.reserve(document.callers.size());
  for (const CallerRecord& caller : document.callers) known.push_back(caller.name);
  const std::string nearest = NearestWord(name, known);
  return Fail(Reason::kNotFound,
              "there is no caller " + std::string(name) +
                  (nearest.empty() ? "; `muster callers list` shows all" : "; did you mean " + nearest + "?"));
}

Result<void> AddCaller(TopologyDocument& document, CallerRecord caller) {
  if (FindCaller(document, caller.name) != nullptr) {
    return Fail(Reason::kStateConflict,
                "there is a caller " + caller.name + " already; rotate its key, or take another name");
  }
  if (document.callers.size() >= kCallersMax) {
    return Fail(Reason::kLimitExceeded, "there are " + std::to_string(kCallersMax) + " callers, which is the most");
  }
  document.callers.push_back(std::move(caller));
  return {};
}

Result<void> RotateKey(CallerRecord& caller, CallerRecord::Key key, Duration overlap, Timestamp now) {
  std::vector<CallerRecord::Key> keys = caller.keys;
  for (CallerRecord::Key& old : keys) {
    const bool is_sooner = old.expire_time != Timestamp{} && old.expire_time < now + overlap;
    if (!is_sooner) old.expire_time = now + overlap;
  }
  std::erase_if(keys, [now](const CallerRecord::Key& old) { return HasExpired(old.expire_time, now); });
  if (keys.size() >= kCallerKeysMax) {
    return Fail(Reason::kLimitExceeded,
                caller.name + " has " + std::to_string(keys.size()) +
                    " keys that are still valid; wait until one expires, or rotate with overlap 0, "
                    "which ends them all");
  }
  keys.push_back(std::move(key));
  caller.keys = std::move(keys);
  return {};
}

Result<CallerRecord> ChangeCaller(TopologyDocument& document, std::string_view name, const CallerChange& change,
                                  Timestamp now) {
  MUSTER_ASSIGN(CallerRecord * caller, RequireCaller(document, name));
  if (change.disabled.value_or(false) && Administrates(*caller, now)) {
    const auto others = std::ranges::count_if(
        document.callers, [&](const CallerRecord& other) { return &other != caller && Administrates(other, now); });
    if (others == 0) {
      return Fail(Reason::kStateConflict,
                  caller->name +
                      " is the only caller that can administrate; create another with the scope admin "
                      "before you disable it");
    }
  }
  caller->disabled = change.disabled.value_or(caller->disabled);
  caller->idempotency_key_required = change.idempotency_key_required.value_or(caller->idempotency_key_required);
  return *caller;
}

}  // namespace muster
