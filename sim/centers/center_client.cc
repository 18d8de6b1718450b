#include "centers/center_client.h"

#include <utility>

#include "base/task.h"

namespace muster::sim {
namespace {

constexpr Duration kCallTimeout = std::chrono::seconds(3);

}  // namespace

void CenterClient::GoOn() {
  if (server_.life().is_dead() || stage_.world.is_over) return;
  server_.life().After(stage_.world.Between(2, stage_.world.rest_ms_max), [this] {
    if (server_.life().is_dead() || stage_.world.is_over) return;
    if (!server_.is_open()) return GoOn();
    Call();
  });
}

void CenterClient::Call() {
  switch (stage_.world.random.Below(8)) {
    case 0:
    case 1:
    case 2:
      return ReadMember();
    case 3:
    case 4:
      return ReadHolder();
    default:
      return Write();
  }
}

ReadOptions CenterClient::DrawOptions(MemberId id) {
  CenterWorld& world = stage_.world;
  ReadOptions options{.deadline = Deadline(world.now() + kCallTimeout)};
  options.no_cache = world.Chance(16);
  if (id != MemberId(0) && world.Chance(16)) options.min_version = stage_.checker.NewestOf(id);
  return options;
}

ReadTerms CenterClient::TermsOf(const ReadOptions& options, std::uint64_t unusable_before) const {
  return {.cache_was_usable = server_.unusable_lookups() == unusable_before, .options = options};
}

void CenterClient::ReadMember() {
  const MemberId id = stage_.members[stage_.world.random.Below(stage_.members.size())];
  const ReadOptions options = DrawOptions(id);
  const ReadStart start = stage_.checker.BeginRead(id);
  server_.route().Get(id, options,
                      [this, id, options, start, unusable = server_.unusable_lookups()](Result<MemberAnswer> answer) {
                        if (!server_.life().is_dead()) {
                          stage_.checker.EndRead(id, start, TermsOf(options, unusable), answer);
                        }
                        GoOn();
                      });
}

void CenterClient::ReadHolder() {
  const IdentityKey key = stage_.identities[stage_.world.random.Below(stage_.identities.size())].key;
  const ReadOptions options = DrawOptions(MemberId(0));
  const ReadStart start = stage_.checker.BeginRead(key);
  server_.route().Resolve(
      key, options, [this, key, options, start, unusable = server_.unusable_lookups()](Result<MemberAnswer> answer) {
        if (!server_.life().is_dead()) stage_.checker.EndRead(key, start, TermsOf(options, unusable), answer);
        GoOn();
      });
}

void CenterClient::Write() {
  Random& random = stage_.world.random;
  const MemberId id = stage_.members[random.Below(stage_.members.size())];
  const Identity& identity = stage_.identities[random.Below(stage_.identities.size())];
  WriteContext context{.caller = server_.name(),
                       .request_id = "r" + std::to_string(++stage_.requests),
                       .deadline = Deadline(stage_.world.now() + kCallTimeout)};
  const auto ended = [this](Result<Member> answer) {
    const bool is_heard = !server_.life().is_dead();
    stage_.world.trace([&] {
      return server_.name() + (is_heard ? " answers " : " would answer ") +
             (answer
                  ? "version " + std::to_string(answer->version.value()) + " of " + std::to_string(answer->id.value())
                  : std::string(answer.error().code()));
    });
    if (is_heard && answer) stage_.checker.Acknowledged(*answer);
    GoOn();
  };
  switch (random.Below(4)) {
    case 0:
      return Spawn(server_.writer().Bind(id, identity, std::move(context)), ended), void();
    case 1:
      return Spawn(server_.writer().Unbind(id, identity.key, std::move(context)), ended), void();
    default: {
      MemberPatch patch{.fields = {"displayName"}, .values = {}};
      patch.values.display_name = "name " + std::to_string(++stage_.names);
      Spawn(server_.writer().Update(id, std::move(patch), std::move(context)), ended);
    }
  }
}

}  // namespace muster::sim
