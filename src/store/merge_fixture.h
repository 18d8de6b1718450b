#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "store/binding_fixture.h"
#include "store/holder_search.h"
#include "store/settled_member.h"

// What the tests of merging share: the world of the binding tests, and what readers see in it.

namespace muster {

// The memory twin as readers see it: each row as it is now.
class MemoryReader final : private HolderSource, private MemberSource {
 public:
  explicit MemoryReader(MemoryShardStore& memory) : memory_(memory) {}

  std::optional<Member> Get(MemberId id) { return ReadSettled(id, *this).value().member; }
  std::optional<MemberId> Holder(const IdentityKey& key) {
    const MemberDocumentRef holder = FindHolder(key, *this).value();
    return holder ? std::optional(holder->id()) : std::nullopt;
  }

 private:
  template <typename Read>
  void In(std::uint32_t database, Read read) {
    EXPECT_TRUE(contract::RunAndWait(memory_, database, std::move(read)));
  }
  Result<std::optional<Member>> ReadRow(MemberId id) override {
    std::optional<Member> member;
    In(memory_.DatabaseOf(id), [&](ShardTransaction& rows) -> Result<void> {
      MUSTER_ASSIGN(member, rows.ReadMember(id));
      return {};
    });
    return member;
  }
  Result<std::optional<LookupRow>> ReadLookup(const IdentityKey& key) override {
    std::optional<LookupRow> row;
    In(memory_.DatabaseOf(key), [&](ShardTransaction& rows) -> Result<void> {
      MUSTER_ASSIGN(row, rows.ReadLookup(key));
      return {};
    });
    return row;
  }
  Result<Owner> ReadOwner(MemberId id) override {
    MUSTER_ASSIGN(const SettledMember found, ReadSettled(id, *this));
    return Owner{found.member ? MakeMemberDocument(*found.member) : MemberDocumentRef(), found.heir};
  }
  bool SharesRows(MemberId, MemberId) const override { return false; }
  bool SharesSnapshot(const IdentityKey&, MemberId) const override { return false; }
  void BeginAnew() override {}

  MemoryShardStore& memory_;
};

class MergeWorld : public BindingWorld {
 public:
  using BindingWorld::BindingWorld;

  Result<Member> Merge(MemberId id, MemberId source) { return Finish(merger->Merge(id, source, false, Context())); }
  Result<Member> Unmerge(MemberId id, MemberId source) { return Finish(merger->Unmerge(id, source, false, Context())); }
  Result<Member> Bind(MemberId id, const Identity& identity) { return Finish(writer->Bind(id, identity, Context())); }
  Result<Member> Unbind(MemberId id, const IdentityKey& key) { return Finish(writer->Unbind(id, key, Context())); }

  // What another process does: a writer and a merger of its own, over the store without faults, which know of no
  // process that ended.
  MemberWriter& other() { return *other_writer_; }
  MemberMerger& other_merger() { return *other_merger_; }

  bool IsMarked() {
    for (std::uint32_t database = 0; database < memory.database_count(); ++database) {
      if (!memory.ScanMarked(database, MemberId(0), 1)->empty()) return true;
    }
    return false;
  }

  MemoryReader reader{memory};

 private:
  IdAllocator other_ids_{clock, 2, 0};
  const BindingDependencies other_binding_{
      .shards = &memory, .catalog = &catalog, .ids = &other_ids_, .clock = &clock, .timer = &timer};
  const std::unique_ptr<MemberWriter> other_writer_ = MakeBindingWriter(other_binding_);
  const std::unique_ptr<MemberMerger> other_merger_ = MakeBindingMerger(other_binding_);
};

inline std::vector<IdentityKey> KeysOf(const Member& member) {
  std::vector<IdentityKey> keys;
  for (const Identity& identity : member.identities) keys.push_back(identity.key);
  std::ranges::sort(keys);
  return keys;
}

}  // namespace muster
