#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>

#include "store/binding_fixture.h"

// Random sequences of writes against the simplest directory there is: two maps.

namespace muster::binding_property_test {
namespace {

enum class Verb : std::uint8_t { kRegister, kBind, kUnbind, kClose, kUpdate, kForgetLookup, kLeaveReservation };

struct Command {
  Verb verb;
  std::uint32_t member;    // which of a few members
  std::uint32_t identity;  // which of a few identities
  std::int64_t if_match;   // 0: none; else the version expected
  bool verified;           // of what is bound
};

constexpr std::uint32_t kMembers = 4;
constexpr std::uint32_t kIdentities = 6;

std::ostream& operator<<(std::ostream& out, const Command& command) {
  static constexpr const char* kNames[] = {"Register", "Bind",         "Unbind",          "Close",
                                           "Update",   "ForgetLookup", "LeaveReservation"};
  return out << kNames[static_cast<int>(command.verb)] << "(member " << command.member << ", identity "
             << command.identity << (command.verified ? " verified" : "") << ", if-match " << command.if_match << ")";
}

rc::Gen<Command> Commands() {
  return rc::gen::construct<Command>(rc::gen::weightedElement<Verb>({{3, Verb::kRegister},
                                                                     {6, Verb::kBind},
                                                                     {4, Verb::kUnbind},
                                                                     {1, Verb::kClose},
                                                                     {1, Verb::kUpdate},
                                                                     {1, Verb::kForgetLookup},
                                                                     {1, Verb::kLeaveReservation}}),
                                     rc::gen::inRange<std::uint32_t>(0, kMembers),
                                     rc::gen::inRange<std::uint32_t>(0, kIdentities),
                                     rc::gen::weightedOneOf<std::int64_t>({{4, rc::gen::just<std::int64_t>(0)},
                                                                           {1, rc::gen::inRange<std::int64_t>(1, 4)}}),
                                     rc::gen::arbitrary<bool>());
}

// What the directory should be.
struct Model {
  struct Entry {
    std::int64_t version = 1;
    bool closed = false;
    std::map<std::uint32_t, bool> identities;  // whether each is verified
  };
  std::map<std::uint32_t, Entry> members;

  std::optional<std::uint32_t> HolderOf(std::uint32_t identity) const {
    for (const auto& [member, entry] : members) {
      if (entry.identities.contains(identity)) return member;
    }
    return std::nullopt;
  }
  // What is refused before the verb's own rules.
  std::optional<Reason> Refusal(const Command& command) const {
    const auto found = members.find(command.member);
    if (found == members.end()) return Reason::kMemberNotFound;
    if (command.if_match != 0 && command.if_match != found->second.version) return Reason::kVersionMismatch;
    return std::nullopt;
  }
};

class Play {
 public:
  explicit Play(const Shape& shape) : world_(shape) {}

  void Do(const Command& command) {
    switch (command.verb) {
      case Verb::kRegister:
        return Register(command);
      case Verb::kBind:
        return Bind(command);
      case Verb::kUnbind:
        return Unbind(command);
      case Verb::kClose:
        return Close(command);
      case Verb::kUpdate:
        return Update(command);
      case Verb::kForgetLookup:  // damage that a bind repairs; the model does not change
        if (model_.HolderOf(command.identity)) lost_.insert(command.identity);
        return world_.PutLookup(KeyOf(command), std::nullopt);
      case Verb::kLeaveReservation:  // a crash
        if (model_.HolderOf(command.identity)) return;
        return world_.PutLookup(KeyOf(command), LookupRow{IdOf(command), world_.ids.NextOperationId()});
    }
  }

  void Compare() {
    for (const auto& [number, entry] : model_.members) {
      const std::optional<Member> member = world_.Find(world_.IdAt(number % world_.memory.database_count(), number));
      RC_ASSERT(member.has_value());
      RC_ASSERT(member->version == Version(entry.version));
      RC_ASSERT((member->state == MemberState::kClosed) == entry.closed);
      std::map<IdentityKey, bool> expected;
      for (const auto& [identity, verified] : entry.identities) expected.emplace(IdentityOf(identity).key, verified);
      std::map<IdentityKey, bool> actual;
      for (const Identity& identity : member->identities) actual.emplace(identity.key, identity.verified);
      RC_ASSERT(actual == expected);
      RC_ASSERT(world_.memory.History(member->id).size() == static_cast<std::size_t>(entry.version));
    }
  }

  // At the end: nothing dangles after a sweep, and every lookup row is back where it belongs.
  void End() {
    for (const std::uint32_t identity : std::set(lost_)) {
      if (const auto holder = model_.HolderOf(identity)) Bind({Verb::kBind, *holder, identity, 0, false});
    }
    world_.clock.Advance(kOperationAgeMax + std::chrono::seconds(1));
    (void)world_.SweepAll();
    world_.Check(true);
    RC_ASSERT(!::testing::Test::HasFailure());
  }

 private:
  Identity IdentityOf(std::uint32_t identity) const {
    return world_.IdentityAt(identity % world_.memory.database_count(), identity);
  }
  Identity IdentityOf(const Command& command) const {
    Identity identity = IdentityOf(command.identity);
    identity.verified = command.verified;
    return identity;
  }
  IdentityKey KeyOf(const Command& command) const { return IdentityOf(command.identity).key; }
  MemberId IdOf(const Command& command) const {
    return world_.IdAt(command.member % world_.memory.database_count(), command.member);
  }
  WriteContext ContextOf(const Command& command) const {
    WriteContext context = world_.Context();
    if (command.if_match != 0) context.expected_version = Version(command.if_match);
    return context;
  }
  static void Expect(const Result<Member>& result, std::optional<Reason> refusal) {
    RC_ASSERT(result.has_value() == !refusal.has_value());
    if (refusal) RC_ASSERT(result.error().reason == *refusal);
  }
  // A lost lookup row hides its holder until the holder binds again: nobody else may try meanwhile.
  bool IsHidden(const Command& command) const {
    return lost_.contains(command.identity) && model_.HolderOf(command.identity) != command.member;
  }

  void Register(const Command& command) {
    if (IsHidden(command)) return;
    Member member = contract::PlainMember(IdOf(command));
    member.identities = {IdentityOf(command)};
    const auto holder = model_.HolderOf(command.identity);
    std::optional<Reason> refusal;
    if (model_.members.contains(command.member)) {
      refusal = Reason::kMemberExists;
    } else if (holder) {
      refusal = Reason::kIdentityTaken;
    }
    Expect(world_.Finish(world_.writer->Register(member, true, world_.Context())), refusal);
    if (!refusal) model_.members[command.member].identities.emplace(command.identity, command.verified);
  }

  void Bind(const Command& command) {
    if (IsHidden(command)) return;
    const auto holder = model_.HolderOf(command.identity);
    std::optional<Reason> refusal = model_.Refusal(command);
    if (holder && *holder != command.member) refusal = Reason::kIdentityTaken;
    if (!refusal && model_.members.at(command.member).closed) refusal = Reason::kStateConflict;
    Expect(world_.Finish(world_.writer->Bind(IdOf(command), IdentityOf(command), ContextOf(command))), refusal);
    if (refusal) return;
    lost_.erase(command.identity);
    Model::Entry& entry = model_.members.at(command.member);
    const auto [held, is_new] = entry.identities.try_emplace(command.identity, false);
    if (is_new || (command.verified && !held->second)) ++entry.version;
    held->second |= command.verified;
  }

  void Unbind(const Command& command) {
    std::optional<Reason> refusal = model_.Refusal(command);
    if (!refusal && model_.members.at(command.member).closed) refusal = Reason::kStateConflict;
    if (!refusal && model_.HolderOf(command.identity) != command.member) refusal = Reason::kIdentityNotFound;
    Expect(world_.Finish(world_.writer->Unbind(IdOf(command), KeyOf(command), ContextOf(command))), refusal);
    if (refusal) return;
    lost_.erase(command.identity);
    model_.members.at(command.member).identities.erase(command.identity);
    ++model_.members.at(command.member).version;
  }

  void Close(const Command& command) {
    const std::optional<Reason> refusal = model_.Refusal(command);
    Expect(world_.Finish(world_.writer->Close(IdOf(command), ContextOf(command))), refusal);
    if (refusal) return;
    Model::Entry& entry = model_.members.at(command.member);
    if (entry.closed) return;
    for (const auto& [identity, verified] : entry.identities) lost_.erase(identity);
    entry = {.version = entry.version + 1, .closed = true, .identities = {}};
  }

  void Update(const Command& command) {
    std::optional<Reason> refusal = model_.Refusal(command);
    if (!refusal && model_.members.at(command.member).closed) refusal = Reason::kStateConflict;
    MemberPatch patch{.fields = {"city"}, .values = {}};
    patch.values.city = "city " + std::to_string(++updates_);
    Expect(world_.Finish(world_.writer->Update(IdOf(command), patch, ContextOf(command))), refusal);
    if (!refusal) ++model_.members.at(command.member).version;
  }

  BindingWorld world_;
  Model model_;
  std::set<std::uint32_t> lost_;  // held identities whose lookup row was destroyed
  int updates_ = 0;
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

RC_GTEST_PROP(BindingProperty, OneDatabaseDoesWhatTwoMapsDo, ()) { PlayAll({1, MemoryShardStore::Runs::kOnce}); }
RC_GTEST_PROP(BindingProperty, OneDatabaseThatRunsTwiceToo, ()) { PlayAll({1, MemoryShardStore::Runs::kTwice}); }
RC_GTEST_PROP(BindingProperty, FourDatabasesDoWhatTwoMapsDo, ()) { PlayAll({4, MemoryShardStore::Runs::kOnce}); }
RC_GTEST_PROP(BindingProperty, FourDatabasesThatRunTwiceToo, ()) { PlayAll({4, MemoryShardStore::Runs::kTwice}); }

}  // namespace
}  // namespace muster::binding_property_test
