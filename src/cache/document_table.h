#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "domain/ids.h"
#include "domain/member_document.h"

namespace muster {

// Documents by member id within a bound of bytes. Open addressing with the id in the slot, four slots to a cache line:
// a hit touches one line, in the mean, and the document. Eviction is SIEVE (Zhang, Yang, Yue, Vigfusson, Rashmi: "SIEVE
// is Simpler than LRU", NSDI '24): a queue in the order of arrival, and a hand that moves from the oldest to the
// newest, clears the marks that hits have left, and evicts the first document without one. A hit only sets the mark, so
// it moves nothing.
//
//   oldest ──► … ──► hand ──► … ──► newest        evicts at the hand, inserts after the newest
//
// Not thread-safe.
class DocumentTable {
 public:
  // `bytes_max` bounds documents and table together.
  explicit DocumentTable(std::size_t bytes_max);
  DocumentTable(const DocumentTable&) = delete;
  DocumentTable& operator=(const DocumentTable&) = delete;
  ~DocumentTable();

  // Marks the document as used. Null when there is none; valid until the next change.
  const MemberDocumentRef* Find(MemberId id);
  bool Contains(MemberId id) const { return FindSlot(id) != kNone; }

  // True when the document is in the table afterwards, because it was put there or was there in the same version. False
  // when the table holds a higher version, or the document is too large (more than a quarter of `bytes_max`).
  bool Insert(const MemberDocumentRef& document);
  bool Erase(MemberId id);

  std::size_t size() const { return size_; }
  std::size_t bytes() const { return bytes_; }
  std::uint64_t evictions() const { return evictions_; }

 private:
  using Index = std::uint32_t;
  static constexpr Index kNone = ~Index{0};

  // What a hit touches. Ids are positive, so their highest bit is free for the mark.
  struct Slot {
    std::uint64_t marked_id = 0;  // 0: free
    MemberDocumentRef document;
  };
  static_assert(sizeof(Slot) == 16);
  static constexpr std::uint64_t kMark = std::uint64_t{1} << 63;

  // The queue, by the index of the slot.
  struct Links {
    Index newer = kNone;
    Index older = kNone;
  };
  static constexpr std::size_t kSlotBytes = sizeof(Slot) + sizeof(Links);

  static bool IsFree(const Slot& slot) { return slot.marked_id == 0; }
  static std::uint64_t IdOf(const Slot& slot) { return slot.marked_id & ~kMark; }
  Index HomeOf(std::uint64_t id) const { return static_cast<Index>(Mix64(id)) & mask_; }
  Index FindSlot(MemberId id) const;
  Index FreeSlot(std::uint64_t id) const;
  void LinkNewest(Index index);
  void Unlink(Index index);
  void Move(Index from, Index to);
  void EraseSlot(Index index);
  void EvictOne();
  bool MakeRoom(std::size_t bytes);
  void Grow();

  const std::size_t bytes_max_;
  std::unique_ptr<Slot[]> slots_;
  std::unique_ptr<Links[]> links_;
  Index mask_;  // slots less one; their number is a power of two
  Index newest_ = kNone;
  Index oldest_ = kNone;
  Index hand_ = kNone;  // kNone: begin at the oldest
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t evictions_ = 0;
};

}  // namespace muster
