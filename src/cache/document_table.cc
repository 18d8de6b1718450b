#include "cache/document_table.h"

#include <utility>

#include "base/check.h"

namespace muster {
namespace {

constexpr std::size_t kFirstSlots = 64;
constexpr std::size_t kSlotsMax = std::size_t{1} << 31;
constexpr std::size_t kAllocatorHeaderBytes = 8;  // of glibc's malloc, beside what it calls usable

std::size_t BytesOf(const MemberDocument& document) { return document.AllocatedBytes() + kAllocatorHeaderBytes; }

}  // namespace

DocumentTable::DocumentTable(std::size_t bytes_max)
    : bytes_max_(bytes_max),
      slots_(std::make_unique<Slot[]>(kFirstSlots)),
      links_(std::make_unique<Links[]>(kFirstSlots)),
      mask_(kFirstSlots - 1),
      bytes_(kFirstSlots * kSlotBytes) {}

DocumentTable::~DocumentTable() = default;

DocumentTable::Index DocumentTable::FindSlot(MemberId id) const {
  if (id.value() <= 0) return kNone;
  const auto wanted = static_cast<std::uint64_t>(id.value());
  for (Index index = HomeOf(wanted);; index = (index + 1) & mask_) {
    if (IdOf(slots_[index]) == wanted) return index;
    if (IsFree(slots_[index])) return kNone;
  }
}

const MemberDocumentRef* DocumentTable::Find(MemberId id) {
  const Index index = FindSlot(id);
  if (index == kNone) return nullptr;
  Slot& slot = slots_[index];
  slot.document.Prefetch();
  if ((slot.marked_id & kMark) == 0) slot.marked_id |= kMark;  // a line that is only read stays shared
  return &slot.document;
}

bool DocumentTable::Insert(const MemberDocumentRef& document) {
  MUSTER_CHECK(document->id().value() > 0);
  const std::size_t cost = BytesOf(*document);
  if (cost > bytes_max_ / 4) return false;
  if (const Index index = FindSlot(document->id()); index != kNone) {
    const MemberDocument& present = *slots_[index].document;
    if (present.version() == document->version()) return true;
    if (present.version() > document->version()) return false;
    EraseSlot(index);
  }
  if (!MakeRoom(cost)) return false;
  const auto id = static_cast<std::uint64_t>(document->id().value());
  const Index index = FreeSlot(id);
  slots_[index].marked_id = id;
  slots_[index].document = document;
  LinkNewest(index);
  ++size_;
  bytes_ += cost;
  return true;
}

bool DocumentTable::Erase(MemberId id) {
  const Index index = FindSlot(id);
  if (index == kNone) return false;
  EraseSlot(index);
  return true;
}

DocumentTable::Index DocumentTable::FreeSlot(std::uint64_t id) const {
  Index index = HomeOf(id);
  while (!IsFree(slots_[index])) index = (index + 1) & mask_;
  return index;
}

void DocumentTable::LinkNewest(Index index) {
  links_[index] = {.newer = kNone, .older = newest_};
  (newest_ == kNone ? oldest_ : links_[newest_].newer) = index;
  newest_ = index;
}

void DocumentTable::Unlink(Index index) {
  const Links links = links_[index];
  if (hand_ == index) hand_ = links.newer;
  (links.older == kNone ? oldest_ : links_[links.older].newer) = links.newer;
  (links.newer == kNone ? newest_ : links_[links.newer].older) = links.older;
}

void DocumentTable::Move(Index from, Index to) {
  slots_[to] = std::move(slots_[from]);
  const Links links = links_[to] = links_[from];
  (links.older == kNone ? oldest_ : links_[links.older].newer) = to;
  (links.newer == kNone ? newest_ : links_[links.newer].older) = to;
  if (hand_ == from) hand_ = to;
}

// Linear probing without tombstones: what stands behind the hole and may stand in it moves there (Knuth 6.4, algorithm
// R).
void DocumentTable::EraseSlot(Index index) {
  bytes_ -= BytesOf(*slots_[index].document);
  --size_;
  Unlink(index);
  slots_[index].document = {};
  Index hole = index;
  for (Index next = (hole + 1) & mask_; !IsFree(slots_[next]); next = (next + 1) & mask_) {
    const Index distance_from_home = (next - HomeOf(IdOf(slots_[next]))) & mask_;
    const Index distance_from_hole = (next - hole) & mask_;
    if (distance_from_home < distance_from_hole) continue;
    Move(next, hole);
    hole = next;
  }
  slots_[hole] = {};
}

void DocumentTable::EvictOne() {
  Index index = hand_ == kNone ? oldest_ : hand_;
  MUSTER_CHECK(index != kNone);
  while ((slots_[index].marked_id & kMark) != 0) {
    slots_[index].marked_id &= ~kMark;
    index = links_[index].newer == kNone ? oldest_ : links_[index].newer;
  }
  hand_ = index;  // EraseSlot moves it on to the next newer one
  EraseSlot(index);
  ++evictions_;
}

// Room for one more document of `bytes`, in the bound and in the table.
bool DocumentTable::MakeRoom(std::size_t bytes) {
  const std::size_t slots = mask_ + std::size_t{1};
  if (size_ + 1 > slots / 4 * 3) {
    // The table may take up to a quarter of the bound; beyond that documents are so small that fewer of them must do.
    if (2 * slots * kSlotBytes <= bytes_max_ / 4 && 2 * slots <= kSlotsMax) {
      Grow();
    } else {
      EvictOne();
    }
  }
  while (bytes_ + bytes > bytes_max_ && size_ > 0) EvictOne();
  return bytes_ + bytes <= bytes_max_;
}

void DocumentTable::Grow() {
  const std::size_t slots = mask_ + std::size_t{1};
  const std::unique_ptr<Slot[]> old_slots = std::exchange(slots_, std::make_unique<Slot[]>(2 * slots));
  const std::unique_ptr<Links[]> old_links = std::exchange(links_, std::make_unique<Links[]>(2 * slots));
  const Index old_hand = std::exchange(hand_, kNone);
  mask_ = static_cast<Index>(2 * slots - 1);
  bytes_ += slots * kSlotBytes;
  Index from = std::exchange(oldest_, kNone);
  newest_ = kNone;
  for (; from != kNone; from = old_links[from].newer) {
    const Index to = FreeSlot(IdOf(old_slots[from]));
    slots_[to] = std::move(old_slots[from]);
    if (from == old_hand) hand_ = to;
    LinkNewest(to);
  }
}

}  // namespace muster
