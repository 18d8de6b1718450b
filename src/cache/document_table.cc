#include "cache/document_table.h"

#include <utility>

#include "base/check.h"

namespace muster {
namespace {

constexpr std::size_t kFirstSlots = 64;
constexpr std::size_t kAllocatorHeaderBytes = 8;  // of glibc's malloc, beside what it calls usable

std::size_t BytesOf(const MemberDocument& document) { return document.AllocatedBytes() + kAllocatorHeaderBytes; }

}  // namespace

DocumentTable::DocumentTable(std::size_t bytes_max)
    : bytes_max_(bytes_max),
      slots_(std::make_unique<Slot[]>(kFirstSlots)),
      mask_(kFirstSlots - 1),
      bytes_(kFirstSlots * sizeof(Slot)) {}

DocumentTable::~DocumentTable() = default;

DocumentTable::Index DocumentTable::FindSlot(MemberId id) const {
  if (id.value() == 0) return kNone;
  for (Index index = HomeOf(id.value());; index = (index + 1) & mask_) {
    if (slots_[index].id == id.value()) return index;
    if (slots_[index].id == 0) return kNone;
  }
}

const MemberDocumentRef* DocumentTable::Find(MemberId id) {
  const Index index = FindSlot(id);
  if (index == kNone) return nullptr;
  slots_[index].is_marked = 1;
  return &slots_[index].document;
}

bool DocumentTable::Insert(const MemberDocumentRef& document) {
  const std::size_t cost = BytesOf(*document);
  if (cost > bytes_max_ / 4) return false;
  if (const Index index = FindSlot(document->id()); index != kNone) {
    const MemberDocument& present = *slots_[index].document;
    if (present.version() == document->version()) return true;
    if (present.version() > document->version()) return false;
    EraseSlot(index);
  }
  if (!MakeRoom(cost)) return false;
  Index index = HomeOf(document->id().value());
  while (slots_[index].id != 0) index = (index + 1) & mask_;
  slots_[index].id = document->id().value();
  slots_[index].document = document;
  slots_[index].is_marked = 0;
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

void DocumentTable::LinkNewest(Index index) {
  slots_[index].newer = kNone;
  slots_[index].older = newest_;
  (newest_ == kNone ? oldest_ : slots_[newest_].newer) = index;
  newest_ = index;
}

void DocumentTable::Unlink(Index index) {
  const Slot& slot = slots_[index];
  if (hand_ == index) hand_ = slot.newer;
  (slot.older == kNone ? oldest_ : slots_[slot.older].newer) = slot.newer;
  if (slot.newer == kNone) {
    newest_ = slot.older;
  } else {
    slots_[slot.newer].older = slot.older;
  }
}

void DocumentTable::Move(Index from, Index to) {
  slots_[to] = std::move(slots_[from]);
  const Slot& slot = slots_[to];
  (slot.older == kNone ? oldest_ : slots_[slot.older].newer) = to;
  if (slot.newer == kNone) {
    newest_ = to;
  } else {
    slots_[slot.newer].older = to;
  }
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
  for (Index next = (hole + 1) & mask_; slots_[next].id != 0; next = (next + 1) & mask_) {
    const Index distance_from_home = (next - HomeOf(slots_[next].id)) & mask_;
    const Index distance_from_hole = (next - hole) & mask_;
    if (distance_from_home < distance_from_hole) continue;
    Move(next, hole);
    hole = next;
  }
  slots_[hole].id = 0;
  slots_[hole].document = {};
}

void DocumentTable::EvictOne() {
  Index index = hand_ == kNone ? oldest_ : hand_;
  MUSTER_CHECK(index != kNone);
  while (slots_[index].is_marked != 0) {
    slots_[index].is_marked = 0;
    index = slots_[index].newer == kNone ? oldest_ : slots_[index].newer;
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
    const bool may_grow = 2 * slots * sizeof(Slot) <= bytes_max_ / 4 && 2 * slots <= kNone;
    if (may_grow) {
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
  const std::unique_ptr<Slot[]> old = std::exchange(slots_, std::make_unique<Slot[]>(2 * slots));
  const Index old_hand = std::exchange(hand_, kNone);
  Index from = std::exchange(oldest_, kNone);
  newest_ = kNone;
  mask_ = static_cast<Index>(2 * slots - 1);
  bytes_ += slots * sizeof(Slot);
  while (from != kNone) {
    Slot& source = old[from];
    const Index next = source.newer;
    Index to = HomeOf(source.id);
    while (slots_[to].id != 0) to = (to + 1) & mask_;
    if (from == old_hand) hand_ = to;
    slots_[to] = std::move(source);
    LinkNewest(to);
    from = next;
  }
}

}  // namespace muster
