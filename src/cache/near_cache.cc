#include "cache/near_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <mutex>
#include <vector>

#include "base/check.h"
#include "cache/document_table.h"
#include "cache/tag_table.h"

namespace muster {
namespace {

constexpr std::int64_t kNegativePercentMin = 1;
constexpr std::int64_t kNegativePercentMax = 50;
// Of the whole, for hints from identities to members: one a document of 250 bytes.
constexpr std::size_t kHintShare = 16;
constexpr std::size_t kStripeBytesMin = std::size_t{2} << 20;
constexpr std::size_t kStripesMax = 256;

// Marks the pairs of member ids among the negative entries; identity keys are 128 uniform bits.
constexpr std::uint64_t kMemberMark = ~std::uint64_t{0};

TagTable::Pair PairOf(MemberId id) { return {static_cast<std::uint64_t>(id.value()), kMemberMark}; }
std::uint64_t HashOf(MemberId id) { return Mix64(static_cast<std::uint64_t>(id.value())); }

// The half of the key that its hash is not made of.
std::uint64_t TagOf(const IdentityKey& key) {
  std::uint64_t word;
  std::memcpy(&word, key.bytes.data(), sizeof word);
  return word;
}
TagTable::Pair PairOf(const IdentityKey& key) { return {TagOf(key), key.Hash()}; }

// Zeroed memory straight from the kernel: it becomes resident as it is used.
class Lines {
 public:
  explicit Lines(std::size_t count) : count_(count) {
    if (count == 0) return;
    void* memory = ::mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUSTER_CHECK(memory != MAP_FAILED);
    lines_ = static_cast<TagTable::Line*>(memory);
  }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;
  ~Lines() {
    if (lines_ != nullptr) ::munmap(lines_, bytes());
  }

  std::size_t bytes() const { return count_ * sizeof(TagTable::Line); }
  std::span<TagTable::Line> Part(std::size_t index, std::size_t of) const {
    const std::size_t size = count_ / of;
    return {lines_ + index * size, size};
  }

 private:
  std::size_t count_;
  TagTable::Line* lines_ = nullptr;
};

struct alignas(128) Stripe {
  explicit Stripe(std::size_t document_bytes_max) : documents(document_bytes_max) {}

  std::mutex mutex;  // guards the tables
  DocumentTable documents;
  TagTable negatives;
  TagTable hints;
  std::atomic<std::uint64_t> hits{0}, misses{0}, fills{0}, fills_refused{0};
};

void Count(std::atomic<std::uint64_t>& counter) { counter.fetch_add(1, std::memory_order_relaxed); }

// A member or identity belongs to the stripe that the high bits of its hash name; everything about it is guarded by
// that stripe's lock.
//
// Why it is exact. A writer does Begin(k) → Erase(k) → commit → End(k) → acknowledge; a filler takes as_of, opens its
// snapshot, reads, and in Fill, under k's lock, asks floor.Allows(k, as_of) and inserts. For a fill that misses a
// commit:
//   * Fill's critical section precedes Erase's: Erase removes what it put there. Until then it was true, as the commit
//   is later.
//   * Erase's precedes Fill's: by the lock, Begin happened before the question, so the floor's answer takes this writer
//   into
//     account: it is still under way (refused), or it has ended with a sequence above `as_of`, since a snapshot that
//     misses a commit was opened before its End (refused; see domain/commit_floor.cc).
// So an entry is never older than the last commit acknowledged, and between Erase and End there is none. That needs the
// question and the insertion to be under one lock, and Erase to take that same lock after Begin; nothing else.
//
// Negative entries are entries like any other ("k is held by nobody"). Hints, identity → member, are not entries: they
// may be wrong, and the member's own entry decides. So they need neither the floor nor an order.
class NearCache final : public MemberCache {
 public:
  NearCache(const NearCacheOptions& options, const CommitFloor& floor)
      : floor_(floor),
        bytes_max_(static_cast<std::size_t>(options.bytes)),
        stripe_bits_(StripeBits(bytes_max_)),
        negative_lines_(WholeLines(bytes_max_ * static_cast<std::size_t>(options.negative_percent) / 100)),
        hint_lines_(WholeLines(bytes_max_ / kHintShare)) {
    const std::size_t count = std::size_t{1} << stripe_bits_;
    const std::size_t fixed = negative_lines_.bytes() + hint_lines_.bytes() + count * sizeof(Stripe);
    stripes_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      auto& stripe = stripes_.emplace_back(std::make_unique<Stripe>((bytes_max_ - fixed) / count));
      stripe->negatives = TagTable(negative_lines_.Part(i, count));
      stripe->hints = TagTable(hint_lines_.Part(i, count));
    }
  }

  std::optional<MemberDocumentRef> Find(MemberId id) override {
    Stripe& stripe = StripeOf(HashOf(id));
    std::lock_guard lock(stripe.mutex);
    auto found = FindLocked(stripe, id);
    Count(found ? stripe.hits : stripe.misses);
    return found;
  }

  std::optional<MemberDocumentRef> FindHolder(const IdentityKey& key) override {
    Stripe& stripe = StripeOf(key.Hash());
    std::optional<std::uint64_t> hint;
    {
      std::lock_guard lock(stripe.mutex);
      hint = stripe.hints.Find(key.Hash(), TagOf(key));
      if (!hint && stripe.negatives.size() > 0 && stripe.negatives.Contains(key.Hash(), PairOf(key))) {
        Count(stripe.hits);
        return MemberDocumentRef();
      }
    }
    if (hint) {
      auto found = FindHinted(MemberId(static_cast<std::int64_t>(*hint)));
      if (found && (*found)->Holds(key)) {
        Count(stripe.hits);
        return found;
      }
    }
    Count(stripe.misses);
    return std::nullopt;
  }

  void Fill(MemberId id, const MemberDocumentRef& document, CommitSequence as_of) override {
    if (id.value() <= 0) return;
    MUSTER_CHECK(!document || document->id() == id);
    Stripe& stripe = StripeOf(HashOf(id));
    {
      std::lock_guard lock(stripe.mutex);
      const bool taken = floor_.Allows(id, as_of) && FillLocked(stripe, id, document);
      Count(taken ? stripe.fills : stripe.fills_refused);
      if (!taken || !document) return;
    }
    for (const IdentityKey& key : document->keys()) PutHint(key, id);
  }

  void FillHolder(const IdentityKey& key, const MemberDocumentRef& document, CommitSequence as_of) override {
    if (key == IdentityKey{}) return;
    Stripe& stripe = StripeOf(key.Hash());
    if (document) {
      if (!document->Holds(key)) return Count(stripe.fills_refused);
      return Fill(document->id(), document, as_of);
    }
    std::lock_guard lock(stripe.mutex);
    const bool taken = floor_.Allows(key, as_of);
    if (taken) {
      stripe.hints.RemoveTag(key.Hash(), TagOf(key));
      stripe.negatives.Add(key.Hash(), PairOf(key));
    }
    Count(taken ? stripe.fills : stripe.fills_refused);
  }

  void Erase(std::span<const MemberId> members, std::span<const IdentityKey> keys) override {
    for (const MemberId id : members) {
      Stripe& stripe = StripeOf(HashOf(id));
      std::lock_guard lock(stripe.mutex);
      stripe.documents.Erase(id);
      stripe.negatives.Remove(HashOf(id), PairOf(id));
    }
    for (const IdentityKey& key : keys) {
      Stripe& stripe = StripeOf(key.Hash());
      std::lock_guard lock(stripe.mutex);
      stripe.negatives.Remove(key.Hash(), PairOf(key));
      stripe.hints.RemoveTag(key.Hash(), TagOf(key));
    }
  }

  Stats ReadStats() const override {
    Stats stats{.bytes = negative_lines_.bytes() + hint_lines_.bytes() + stripes_.size() * sizeof(Stripe),
                .bytes_max = bytes_max_};
    for (const auto& stripe : stripes_) {
      stats.hits += stripe->hits.load(std::memory_order_relaxed);
      stats.misses += stripe->misses.load(std::memory_order_relaxed);
      stats.fills += stripe->fills.load(std::memory_order_relaxed);
      stats.fills_refused += stripe->fills_refused.load(std::memory_order_relaxed);
      std::lock_guard lock(stripe->mutex);
      stats.evictions += stripe->documents.evictions() + stripe->negatives.forgotten();
      stats.entries += stripe->documents.size() + stripe->negatives.size();
      stats.bytes += stripe->documents.bytes();
    }
    return stats;
  }

 private:
  static int StripeBits(std::size_t bytes) {
    return static_cast<int>(std::bit_width(std::clamp<std::size_t>(bytes / kStripeBytesMin, 1, kStripesMax))) - 1;
  }

  // At least one line for each stripe.
  std::size_t WholeLines(std::size_t bytes) const {
    const std::size_t stripes = std::size_t{1} << stripe_bits_;
    return std::max<std::size_t>(bytes / sizeof(TagTable::Line) / stripes, 1) * stripes;
  }

  Stripe& StripeOf(std::uint64_t hash) { return *stripes_[stripe_bits_ == 0 ? 0 : hash >> (64 - stripe_bits_)]; }

  static std::optional<MemberDocumentRef> FindLocked(Stripe& stripe, MemberId id) {
    if (const MemberDocumentRef* document = stripe.documents.Find(id)) return *document;
    if (stripe.negatives.size() > 0 && stripe.negatives.Contains(HashOf(id), PairOf(id))) return MemberDocumentRef();
    return std::nullopt;
  }

  // As Find, uncounted, and only what exists.
  std::optional<MemberDocumentRef> FindHinted(MemberId id) {
    Stripe& stripe = StripeOf(HashOf(id));
    std::lock_guard lock(stripe.mutex);
    if (const MemberDocumentRef* document = stripe.documents.Find(id)) return *document;
    return std::nullopt;
  }

  // Whoever is found by one identity is next asked for by another.
  void PutHint(const IdentityKey& key, MemberId holder) {
    Stripe& stripe = StripeOf(key.Hash());
    std::lock_guard lock(stripe.mutex);
    stripe.hints.Put(key.Hash(), {TagOf(key), static_cast<std::uint64_t>(holder.value())});
    stripe.negatives.Remove(key.Hash(), PairOf(key));
  }

  static bool FillLocked(Stripe& stripe, MemberId id, const MemberDocumentRef& document) {
    if (document) {
      stripe.negatives.Remove(HashOf(id), PairOf(id));
      return stripe.documents.Insert(document);
    }
    if (stripe.documents.Contains(id)) return false;
    stripe.negatives.Add(HashOf(id), PairOf(id));
    return true;
  }

  const CommitFloor& floor_;
  const std::size_t bytes_max_;
  const int stripe_bits_;
  const Lines negative_lines_;
  const Lines hint_lines_;
  std::vector<std::unique_ptr<Stripe>> stripes_;
};

class DisabledCache final : public MemberCache {
 public:
  std::optional<MemberDocumentRef> Find(MemberId) override { return std::nullopt; }
  std::optional<MemberDocumentRef> FindHolder(const IdentityKey&) override { return std::nullopt; }
  void Fill(MemberId, const MemberDocumentRef&, CommitSequence) override {}
  void FillHolder(const IdentityKey&, const MemberDocumentRef&, CommitSequence) override {}
  void Erase(std::span<const MemberId>, std::span<const IdentityKey>) override {}
  Stats ReadStats() const override { return {}; }
};

}  // namespace

void NearCacheOptions::Declare(OptionRegistry& options) {
  options.AddBoolean(
      "cache.near.enabled", &enabled,
      "Keep members in this process's memory; never done with store.kind = \"mariadb\", where other processes "
      "write, too.");
  options.AddBytes("cache.near.bytes", &bytes,
                   "All the memory that the near cache takes: members, tables, and what is known not to exist.",
                   {.min = kNearCacheBytesMin, .max = std::int64_t{1} << 40});
  options.AddInteger("cache.near.negative_percent", &negative_percent,
                     "The part of cache.near.bytes for what is known not to exist.",
                     {.min = kNegativePercentMin, .max = kNegativePercentMax});
}

std::unique_ptr<MemberCache> MakeNearCache(const NearCacheOptions& options, const CommitFloor& floor) {
  if (!options.enabled) return std::make_unique<DisabledCache>();
  MUSTER_CHECK(options.bytes >= kNearCacheBytesMin);
  MUSTER_CHECK(options.negative_percent >= kNegativePercentMin && options.negative_percent <= kNegativePercentMax);
  return std::make_unique<NearCache>(options, floor);
}

void ExposeCacheMetrics(const MemberCache& cache, MetricRegistry& metrics) {
  // Each exposition adds the stripes up once a metric: some microseconds.
  const auto read = [&cache](std::uint64_t MemberCache::Stats::* field) {
    return [&cache, field] { return static_cast<double>(cache.ReadStats().*field); };
  };
  using Stats = MemberCache::Stats;
  metrics.AddGauge("muster_cache_bytes", "Memory that the near cache takes.", read(&Stats::bytes));
  metrics.AddGauge("muster_cache_bytes_max", "Memory that the near cache may take.", read(&Stats::bytes_max));
  metrics.AddGauge("muster_cache_entries", "Members in the near cache, and what it knows not to exist.",
                   read(&Stats::entries));
  metrics.AddReadCounter("muster_cache_hits_total", "Look-ups that the near cache answered.", read(&Stats::hits));
  metrics.AddReadCounter("muster_cache_misses_total", "Look-ups that the near cache could not answer.",
                         read(&Stats::misses));
  metrics.AddReadCounter("muster_cache_fills_total", "Answers of a source that the near cache took.",
                         read(&Stats::fills));
  metrics.AddReadCounter("muster_cache_fills_refused_total",
                         "Answers that a commit under way, a newer version or their size kept out of the near cache.",
                         read(&Stats::fills_refused));
  metrics.AddReadCounter("muster_cache_evictions_total", "Entries that the near cache gave up for others.",
                         read(&Stats::evictions));
}

}  // namespace muster
