#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>
#include <utility>

#include "store/merge_fixture.h"

// Random merges, unmerges and other writes, some of which end with their process, against the simplest directory there
// is: a map of members and a map of what merges brought.

namespace muster::merge_property_test {
namespace {

enum class Verb : std::uint8_t { kBind, kUnbind, kMerge, kUnmerge, kClose };

struct Command {
  Verb verb;
  std::uint32_t member;
  std::uint32_t source;    // of a merge or an unmerge
  std::uint32_t identity;  // of a bind or an unbind
  std::uint32_t crash;     // a merge's or unmerge's process ends at this step; none when it has fewer
};

constexpr std::uint32_t kMembers = 4;
constexpr std::uint32_t kIdentities = 4;
constexpr std::uint32_t kStepsMax = 9;

std::ostream& operator<<(std::ostream& out, const Command& command) {
  static constexpr const char* kNames[] = {"Bind", "Unbind", "Merge", "Unmerge", "Close"};
  return out << kNames[static_cast<int>(command.verb)] << "(member " << command.member << ", source " << command.source
             << ", identity " << command.identity << ", crash at " << command.crash << ")";
}

rc::Gen<Command> Commands() {
  return rc::gen::construct<Command>(
      rc::gen::weightedElement<Verb>(
          {{6, Verb::kBind}, {3, Verb::kUnbind}, {6, Verb::kMerge}, {6, Verb::kUnmerge}, {1, Verb::kClose}}),
      rc::gen::inRange<std::uint32_t>(0, kMembers), rc::gen::inRange<std::uint32_t>(0, kMembers),
      rc::gen::inRange<std::uint32_t>(0, kIdentities), rc::gen::inRange<std::uint32_t>(0, 3 * kStepsMax));
}

class Play {
 public:
  explicit Play(const Shape& shape) : world_(shape) {
    for (std::uint32_t member = 0; member < kMembers; ++member) {
      world_.Make(member % shape.databases, member);
      members_[member] = {};
    }
  }

  void Do(const Command& command) {
    switch (command.verb) {
      case Verb::kBind:
        return Bind(command);
      case Verb::kUnbind:
        return Unbind(command);
      case Verb::kMerge:
        return Merge(command);
      case Verb::kUnmerge:
        return Unmerge(command);
      case Verb::kClose:
        return Close(command);
    }
  }

  void Compare() {
    for (const auto& [number, entry] : members_) {
      const Member member = *world_.reader.Get(IdOf(number));
      RC_ASSERT(member.state == entry.state);
      RC_ASSERT(member.version == Version(entry.version));
      RC_ASSERT(member.merged_into == (entry.merged_into ? IdOf(*entry.merged_into) : MemberId(0)));
      std::set<IdentityKey> expected;
      for (const auto& [identity, birth] : entry.identities) expected.insert(IdentityOf(identity).key);
      const std::vector<IdentityKey> actual = KeysOf(member);
      RC_ASSERT(std::set(actual.begin(), actual.end()) == expected);
    }
    for (std::uint32_t identity = 0; identity < kIdentities; ++identity) {
      const auto holder = HolderOf(identity);
      RC_ASSERT(world_.reader.Holder(IdentityOf(identity).key) ==
                (holder ? std::optional(IdOf(*holder)) : std::nullopt));
    }
  }

  void End() {
    world_.clock.Advance(kOperationAgeMax + std::chrono::seconds(1));
    world_.SettleAll();
    (void)world_.SweepAll();
    RC_ASSERT(!world_.IsMarked());
    world_.Check(true);
    Compare();
  }

 private:
  using Births = std::map<std::uint32_t, int>;  // an identity, and which of its bindings it is
  struct Entry {
    MemberState state = MemberState::kActive;
    std::int64_t version = 1;
    std::optional<std::uint32_t> merged_into;
    Births identities;
  };

  MemberId IdOf(std::uint32_t member) const { return world_.IdAt(member % world_.memory.database_count(), member); }
  Identity IdentityOf(std::uint32_t identity) const {
    return world_.IdentityAt((identity + 1) % world_.memory.database_count(), identity);
  }
  std::optional<std::uint32_t> HolderOf(std::uint32_t identity) const {
    for (const auto& [member, entry] : members_) {
      if (entry.identities.contains(identity)) return member;
    }
    return std::nullopt;
  }
  bool IsActive(std::uint32_t member) const { return members_.at(member).state == MemberState::kActive; }

  static void Expect(const Result<Member>& answer, std::optional<Reason> refusal) {
    RC_ASSERT(answer.has_value() == !refusal.has_value());
    if (refusal) RC_ASSERT(answer.error().reason == *refusal);
  }

  void Bind(const Command& command) {
    Entry& entry = members_[command.member];
    const auto holder = HolderOf(command.identity);
    std::optional<Reason> refusal;
    if (!IsActive(command.member)) refusal = Reason::kStateConflict;
    if (holder && *holder != command.member) refusal = Reason::kIdentityTaken;
    Expect(world_.Bind(IdOf(command.member), IdentityOf(command.identity)), refusal);
    if (refusal || holder) return;
    entry.identities[command.identity] = ++births_;
    ++entry.version;
  }

  void Unbind(const Command& command) {
    Entry& entry = members_[command.member];
    std::optional<Reason> refusal;
    if (!entry.identities.contains(command.identity)) refusal = Reason::kIdentityNotFound;
    if (!IsActive(command.member)) refusal = Reason::kStateConflict;
    Expect(world_.Unbind(IdOf(command.member), IdentityOf(command.identity).key), refusal);
    if (refusal) return;
    entry.identities.erase(command.identity);
    ++entry.version;
  }

  void Close(const Command& command) {
    Entry& entry = members_[command.member];
    const bool refused = entry.state == MemberState::kMerged;
    Expect(world_.Finish(world_.writer->Close(IdOf(command.member), world_.Context())),
           refused ? std::optional(Reason::kStateConflict) : std::nullopt);
    if (refused || entry.state == MemberState::kClosed) return;
    entry.state = MemberState::kClosed;
    entry.identities.clear();
    ++entry.version;
  }

  // Whether it took place; what it was refused for is compared.
  bool Move(Task<Result<Member>> task, const Command& command, std::optional<Reason> refusal, bool is_merge) {
    if (command.crash < kStepsMax) {
      world_.shards.FailAt(command.crash, command.crash % 2 == 0 ? FaultyShardStore::Fault::kCrashBefore
                                                                 : FaultyShardStore::Fault::kCrashAfter);
    }
    const std::optional<Result<Member>> answer = world_.Attempt(std::move(task));
    world_.shards.Disarm();
    if (answer) Expect(*answer, refusal);
    if (answer) return !refusal;
    const MemberState state = world_.reader.Get(IdOf(command.source))->state;
    const bool took_place = (state == MemberState::kMerged) == is_merge && !refusal;
    return took_place;
  }

  void Merge(const Command& command) {
    Entry& survivor = members_[command.member];
    Entry& source = members_[command.source];
    const bool is_done = source.merged_into == command.member;
    std::optional<Reason> refusal;
    if (!IsActive(command.member) || (!IsActive(command.source) && !is_done)) refusal = Reason::kStateConflict;
    if (command.member == command.source) refusal = Reason::kInvalidArgument;
    auto task = world_.merger->Merge(IdOf(command.member), IdOf(command.source), false, world_.Context());
    if (!Move(std::move(task), command, refusal, true) || is_done) return;
    brought_[{command.member, command.source}] = source.identities;
    survivor.identities.merge(source.identities);
    source.identities.clear();
    source.state = MemberState::kMerged;
    source.merged_into = command.member;
    ++survivor.version;
    ++source.version;
  }

  void Unmerge(const Command& command) {
    Entry& survivor = members_[command.member];
    Entry& source = members_[command.source];
    std::optional<Reason> refusal;
    if (!IsActive(command.member) || source.merged_into != command.member) refusal = Reason::kStateConflict;
    if (command.member == command.source) refusal = Reason::kInvalidArgument;
    auto task = world_.merger->Unmerge(IdOf(command.member), IdOf(command.source), false, world_.Context());
    if (!Move(std::move(task), command, refusal, false)) return;
    for (const auto& [identity, birth] : brought_[{command.member, command.source}]) {
      const auto held = survivor.identities.find(identity);
      if (held == survivor.identities.end() || held->second != birth) continue;
      source.identities[identity] = birth;
      survivor.identities.erase(held);
    }
    source.state = MemberState::kActive;
    source.merged_into.reset();
    ++survivor.version;
    ++source.version;
  }

  MergeWorld world_;
  std::map<std::uint32_t, Entry> members_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, Births> brought_;  // by survivor and source
  int births_ = 0;
};

void PlayAll(const Shape& shape) {
  const auto commands = *rc::gen::container<std::vector<Command>>(Commands());
  Play play(shape);
  for (const Command& command : commands) {
    play.Do(command);
    play.Compare();
  }
  play.End();
}

RC_GTEST_PROP(MergeProperty, OneDatabaseDoesWhatTwoMapsDo, ()) { PlayAll({1, MemoryShardStore::Runs::kOnce}); }
RC_GTEST_PROP(MergeProperty, TwoDatabasesDoWhatTwoMapsDo, ()) { PlayAll({2, MemoryShardStore::Runs::kOnce}); }
RC_GTEST_PROP(MergeProperty, FourDatabasesThatRunTwiceToo, ()) { PlayAll({4, MemoryShardStore::Runs::kTwice}); }

}  // namespace
}  // namespace muster::merge_property_test
