#include "traffic/callers.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <optional>
#include <utility>

#include "base/encoding.h"
#include "traffic/caller_accounts.h"
#include "traffic/caller_key.h"
#include "traffic/caller_snapshot.h"
#include "traffic/siphash.h"

namespace muster {
namespace {

constexpr std::size_t kMemoSlots = 256;  // of a thread; two keys that share one cost each other an HMAC
constexpr std::size_t kAuthorizationBytesMax = 256;

// What a thread remembers of one directory at one generation of its snapshot. Callers are the thread's own copies:
// threads do not share the line of a reference count.
struct ThreadMemo {
  struct Slot {
    Digest128 digest;
    std::shared_ptr<const Caller> caller;  // null: free
    Timestamp expire_time{};
  };

  ThreadMemo(std::uint64_t directory_number, const SecretKey& key) : directory(directory_number), hash(key) {}

  std::uint64_t directory;
  std::uint64_t generation = 0;
  std::shared_ptr<const CallerSnapshot> snapshot;
  KeyedHash hash;
  std::array<Slot, kMemoSlots> slots;
};

// The key in "Bearer <key>", or empty.
std::optional<std::string_view> BearerToken(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer";
  if (authorization.size() <= kScheme.size()) return std::nullopt;
  for (std::size_t i = 0; i < kScheme.size(); ++i) {
    const char c = authorization[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != kScheme[i]) return std::nullopt;
  }
  const std::string_view rest = authorization.substr(kScheme.size());
  const std::size_t begin = rest.find_first_not_of(' ');
  if (begin == 0 || begin == std::string_view::npos) return std::nullopt;
  return rest.substr(begin);
}

std::atomic<std::uint64_t> next_directory_number{1};

class TopologyCallerDirectory final : public CallerDirectory {
 public:
  TopologyCallerDirectory(TopologyStore& topology, const Keyring& keyring, const Clock& clock, Random& random)
      : topology_(topology),
        hash_key_(keyring.hash_key()),
        clock_(clock),
        random_(random),
        digest_({random.Next(), random.Next()}),
        number_(next_directory_number.fetch_add(1, std::memory_order_relaxed)),
        snapshot_(std::make_shared<const CallerSnapshot>()) {}

  Result<std::shared_ptr<const Caller>> Authenticate(std::string_view authorization) override {
    if (authorization.empty()) {
      return Fail(Reason::kUnauthenticated, "no key; send the caller's as Authorization: Bearer mk_...");
    }
    if (authorization.size() > kAuthorizationBytesMax) return FailForm();
    ThreadMemo& memo = Memo();
    const Digest128 digest = digest_.Hash(authorization);
    ThreadMemo::Slot& slot = memo.slots[digest.low % kMemoSlots];
    if (slot.caller && slot.digest == digest && (slot.expire_time == Timestamp{} || clock_.Now() < slot.expire_time)) {
      return slot.caller;
    }
    MUSTER_ASSIGN(const CallerSnapshot::Entry* entry, Verify(memo, authorization));
    slot = {
        .digest = digest, .caller = std::make_shared<const Caller>(*entry->caller), .expire_time = entry->expire_time};
    return slot.caller;
  }

  Result<NewKey> Create(const NewCaller& caller) override {
    MUSTER_TRY(CheckCallerName(caller.name));
    MUSTER_TRY(CheckPurpose(caller.purpose));
    MUSTER_TRY(CheckKeyLifetime(caller.key_lifetime));
    NewCaller checked = caller;
    MUSTER_ASSIGN(checked.scopes, CheckScopes(caller.scopes));
    std::lock_guard lock(change_mutex_);
    const FreshKey fresh = MakeKey(caller.key_lifetime);
    MUSTER_TRY(ChangeLocked([&](TopologyDocument& document) -> Result<void> {
      MUSTER_TRY(CheckKeyId(document, fresh.record.id));
      return AddCaller(document, NewRecord(checked, fresh.record));
    }));
    return fresh.shown;
  }

  Result<NewKey> Rotate(std::string_view name, Duration overlap, Duration key_lifetime) override {
    MUSTER_TRY(CheckKeyLifetime(key_lifetime));
    MUSTER_TRY(CheckOverlap(overlap));
    std::lock_guard lock(change_mutex_);
    const FreshKey fresh = MakeKey(key_lifetime);
    MUSTER_TRY(ChangeLocked([&](TopologyDocument& document) -> Result<void> {
      MUSTER_ASSIGN(CallerRecord * caller, RequireCaller(document, name));
      MUSTER_TRY(CheckKeyId(document, fresh.record.id));
      return RotateKey(*caller, fresh.record, overlap, fresh.record.create_time);
    }));
    return fresh.shown;
  }

  Result<CallerRecord> Change(std::string_view name, const CallerChange& change) override {
    std::lock_guard lock(change_mutex_);
    CallerRecord changed;
    MUSTER_TRY(ChangeLocked([&](TopologyDocument& document) -> Result<void> {
      MUSTER_ASSIGN(changed, ChangeCaller(document, name, change, clock_.Now()));
      return {};
    }));
    return changed;
  }

  Result<std::vector<CallerRecord>> List() override {
    MUSTER_ASSIGN(const auto document, topology_.Read());
    return document->callers;
  }

  Result<void> Refresh() override {
    std::lock_guard lock(change_mutex_);
    return RefreshLocked();
  }

  void Take(const TopologyDocument& document) override { Publish(document); }

  Result<bool> EnsureAdmin(const std::function<Result<void>(const std::string& key_text)>& save) override {
    std::lock_guard lock(change_mutex_);
    MUSTER_ASSIGN(const auto current, topology_.Read());
    if (std::ranges::count(current->callers, kAdminCaller, &CallerRecord::name) > 0) {
      Publish(*current);
      return false;
    }
    NewCaller admin{.name = std::string(kAdminCaller), .purpose = "operating muster"};
    for (const Scope scope : AllScopes()) admin.scopes.emplace_back(ScopeName(scope));
    const FreshKey fresh = MakeKey(Duration::zero());
    bool is_there = false;  // another process was faster
    MUSTER_TRY(ChangeLocked([&](TopologyDocument& document) -> Result<void> {
      is_there = FindCaller(document, kAdminCaller) != nullptr;
      if (is_there) return {};
      MUSTER_TRY(CheckKeyId(document, fresh.record.id));
      MUSTER_TRY(AddCaller(document, NewRecord(admin, fresh.record)));
      return save(fresh.shown.text);
    }));
    return !is_there;
  }

 private:
  struct FreshKey {
    NewKey shown;
    CallerRecord::Key record;
  };

  static std::unexpected<Error> FailForm() {
    return Fail(Reason::kUnauthenticated,
                "this is not a caller's key, or it is mistyped or cut off; send it as Authorization: Bearer mk_... (49 "
                "characters)");
  }

  // The calling thread's memo, at the present generation: a change that was acknowledged before the call is seen.
  ThreadMemo& Memo() {
    thread_local std::unique_ptr<ThreadMemo> memo;
    if (!memo || memo->directory != number_) memo = std::make_unique<ThreadMemo>(number_, hash_key_);
    if (memo->generation != generation_.load(std::memory_order_acquire)) {
      memo->slots.fill({});
      std::lock_guard lock(snapshot_mutex_);
      memo->snapshot = snapshot_;
      memo->generation = generation_.load(std::memory_order_relaxed);
    }
    return *memo;
  }

  // The same work whether the id is known or not: one HMAC and one constant-time comparison.
  Result<const CallerSnapshot::Entry*> Verify(ThreadMemo& memo, std::string_view authorization) const {
    const auto token = BearerToken(authorization);
    if (!token) return FailForm();
    const auto parts = ParseCallerKey(*token);
    if (!parts) return FailForm();
    static const CallerSnapshot::Entry kNobody;
    const auto found = memo.snapshot->keys.find(parts->id);
    const CallerSnapshot::Entry& entry = found == memo.snapshot->keys.end() ? kNobody : found->second;
    const CallerKeyHash hash = HashCallerKey(memo.hash, *parts);
    const bool equal = CRYPTO_memcmp(hash.data(), entry.hash.data(), hash.size()) == 0;
    if (!equal || !entry.caller) {
      return Fail(Reason::kUnauthenticated, "this key is not known here; ask who operates this muster for one");
    }
    if (entry.disabled) {
      return Fail(Reason::kUnauthenticated,
                  "the caller " + entry.caller->name + " is disabled; ask who operates this muster");
    }
    if (HasExpired(entry.expire_time, clock_.Now())) {
      return Fail(Reason::kUnauthenticated,
                  "this key of " + entry.caller->name + " has expired; get a new one with `muster callers rotate`");
    }
    return &entry;
  }

  FreshKey MakeKey(Duration lifetime) {
    FreshKey fresh;
    fresh.shown.text = MakeCallerKey(random_);
    const CallerKeyParts parts = *ParseCallerKey(fresh.shown.text);
    fresh.shown.id = parts.id;
    KeyedHash hash(hash_key_);
    const Timestamp now = clock_.Now();
    fresh.record = {.id = fresh.shown.id,
                    .hash_hex = ToHex(HashCallerKey(hash, parts)),
                    .create_time = now,
                    .expire_time = lifetime == Duration::zero() ? Timestamp{} : now + lifetime};
    return fresh;
  }

  static CallerRecord NewRecord(const NewCaller& caller, const CallerRecord::Key& key) {
    return {.name = caller.name,
            .purpose = caller.purpose,
            .scopes = caller.scopes,
            .keys = {key},
            .idempotency_key_required = caller.idempotency_key_required,
            .create_time = key.create_time};
  }

  Result<void> ChangeLocked(const std::function<Result<void>(TopologyDocument&)>& change) {
    auto changed = topology_.Update(change);
    if (!changed) {
      Error error = std::move(changed).error();
      if (error.reason == Reason::kOutcomeUnknown) {
        // It may be there all the same, and is then in force.
        if (auto read = RefreshLocked(); !read) error.message += "; nor can it be read: " + read.error().message;
      }
      return Fail(std::move(error));
    }
    Publish(**changed);
    return {};
  }

  Result<void> RefreshLocked() {
    MUSTER_ASSIGN(const auto document, topology_.Read());
    Publish(*document);
    return {};
  }

  void Publish(const TopologyDocument& document) {
    auto snapshot = MakeCallerSnapshot(document);
    std::lock_guard lock(snapshot_mutex_);
    if (document.revision < revision_) return;
    revision_ = document.revision;
    snapshot_ = std::move(snapshot);
    generation_.fetch_add(1, std::memory_order_release);
  }

  TopologyStore& topology_;
  const SecretKey hash_key_;
  const Clock& clock_;
  Random& random_;
  const SipHash digest_;  // its key lives and dies with the process
  const std::uint64_t number_;

  std::mutex change_mutex_;  // one change or refresh at a time

  std::mutex snapshot_mutex_;
  std::shared_ptr<const CallerSnapshot> snapshot_;
  std::int64_t revision_ = 0;  // of the document that it is of; guarded by snapshot_mutex_
  std::atomic<std::uint64_t> generation_{1};
};

}  // namespace

std::unique_ptr<CallerDirectory> MakeCallerDirectory(TopologyStore& topology, const Keyring& keyring,
                                                     const Clock& clock, Random& random) {
  return std::make_unique<TopologyCallerDirectory>(topology, keyring, clock, random);
}

}  // namespace muster
