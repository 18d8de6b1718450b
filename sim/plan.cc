#include "plan.h"

namespace muster::sim {
namespace {

struct Choice {
  Verb verb;
  std::uint64_t weight;
};
constexpr Choice kVerbs[] = {{Verb::kBind, 30},    {Verb::kUnbind, 20}, {Verb::kResolve, 16},
                             {Verb::kRegister, 9}, {Verb::kUpdate, 4},  {Verb::kClose, 2},
                             {Verb::kMerge, 7},    {Verb::kUnmerge, 7}, {Verb::kGet, 5}};

Verb DrawVerb(Random& random) {
  std::uint64_t at = random.Below(100);
  for (const Choice& choice : kVerbs) {
    if (at < choice.weight) return choice.verb;
    at -= choice.weight;
  }
  return Verb::kResolve;
}

bool IsRead(Verb verb) { return verb == Verb::kGet || verb == Verb::kResolve; }

MemberId DrawId(Random& random) {
  return MemberId(static_cast<std::int64_t>(1 + random.Below(std::uint64_t{1} << 40)));
}

RequestHash DrawHash(Random& random) {
  RequestHash hash;
  random.Fill(hash.bytes);
  return hash;
}

}  // namespace

void Earlier::Note(const Plan& plan) {
  plans_.push_back(plan);
  if (plans_.size() > kPlansMax) plans_.pop_front();
}

const Plan* Earlier::Draw(Random& random) const {
  if (plans_.empty()) return nullptr;
  if (random.Below(2) == 0) return &plans_.back();
  return &plans_[random.Below(plans_.size())];
}

Plan Planner::Draw(IdAllocator& ids) {
  Plan plan;
  plan.call.verb = DrawVerb(random_);
  plan.call.member_id = population_.members[random_.Below(population_.members.size())];
  plan.call.keys = {DrawIdentity().key};
  plan.call.verified = random_.Below(2) == 0;
  if (!checker_.Knows(plan.call.member_id) && random_.Below(2) == 0) plan.call.verb = Verb::kRegister;
  if (plan.call.verb == Verb::kUnbind && random_.Below(4) != 0) {
    plan.call.member_id = checker_.HolderOf(plan.call.keys[0]).value_or(plan.call.member_id);
  }
  if (!IsRead(plan.call.verb) && random_.Below(5) < 2) DrawKey(plan);
  if (plan.call.verb == Verb::kMerge || plan.call.verb == Verb::kUnmerge) DrawSource(plan);
  if (random_.Below(20) == 0) {
    plan.call.expected_version = Version(static_cast<std::int64_t>(1 + random_.Below(6)));
  } else if (plan.call.idempotency && random_.Below(4) == 0) {
    plan.call.expected_version = checker_.VersionOf(plan.call.member_id);
  }
  if (plan.call.verb == Verb::kClose) {
    // Nobody waits for the close: the next call may already use the newcomer.
    for (MemberId& id : population_.members) {
      if (id == plan.call.member_id) id = DrawId(random_);
    }
  }
  if (plan.call.verb == Verb::kRegister) DrawRegistration(plan, ids);
  if (plan.call.verb == Verb::kUpdate) plan.name = "name " + std::to_string(random_.Below(1'000'000));
  return plan;
}

// Now and then one that was used for something else, rather for the same member.
void Planner::DrawKey(Plan& plan) {
  plan.call.idempotency = {DrawHash(random_), DrawHash(random_)};
  const Plan* other = random_.Below(6) == 0 ? earlier_.Draw(random_) : nullptr;
  if (other != nullptr) {
    plan.call.idempotency->key = other->call.idempotency->key;
    if (random_.Below(2) == 0 && other->call.member_id != MemberId(0)) plan.call.member_id = other->call.member_id;
  }
}

void Planner::DrawRegistration(Plan& plan, IdAllocator& ids) {
  const Identity& common = population_.identities[0];
  plan.wanted.identities = {DrawIdentity()};
  if (random_.Below(2) == 0 && plan.wanted.identities[0].key != common.key) plan.wanted.identities.push_back(common);
  plan.call.keys.clear();
  for (const Identity& each : plan.wanted.identities) plan.call.keys.push_back(each.key);
  const std::uint64_t allocated = plan.call.idempotency ? 2 : 1;  // of four
  if (random_.Below(4) < allocated) plan.call.member_id = MemberId(0);
  plan.wanted.id = plan.call.member_id;
  plan.imported = plan.call.member_id != MemberId(0);
  // An import has no key: what makes its repetition exact is its number.
  if (!plan.call.idempotency && random_.Below(4) != 0) plan.operation_id = ids.NextOperationId();
}

// Another member; of an unmerge rather one that is merged, and rather into that very one.
void Planner::DrawSource(Plan& plan) {
  const std::vector<MemberId>& members = population_.members;
  const std::size_t first = random_.Below(members.size());
  for (std::size_t index = 0; index < members.size(); ++index) {
    const MemberId id = members[(first + index) % members.size()];
    const std::optional<MemberId> survivor = checker_.SurvivorOf(id);
    if (plan.call.verb == Verb::kUnmerge && survivor && random_.Below(8) != 0) {
      plan.call.source_id = id;
      plan.call.member_id = *survivor;
      return;
    }
    if (id != plan.call.member_id) plan.call.source_id = id;
  }
}

}  // namespace muster::sim
