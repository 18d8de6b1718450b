#include <utility>

#include "process.h"
#include "resolve.h"

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

MemberId DrawId(Random& random) {
  return MemberId(static_cast<std::int64_t>(1 + random.Below(std::uint64_t{1} << 40)));
}

}  // namespace

void Client::GoOn() {
  if (calls_left_ == 0) return;
  const Duration thinking(100 + stage_.around.random.Below(20'000));
  process_.InThisLife(thinking, [this] { Begin(); });
}

void Client::CutOff() {
  task_.reset();
  if (!under_way_) return;
  if (stage_.around.random.Below(2) == 0) again_ = std::move(under_way_);
  under_way_.reset();
}

Client::Plan Client::Draw() {
  Random& random = stage_.around.random;
  Population& population = stage_.population;
  const auto slot = [&] { return random.Below(population.members.size()); };
  const auto identity = [&]() -> const Identity& {
    return population.identities[random.Below(population.identities.size())];
  };

  Plan plan;
  plan.call.verb = DrawVerb(random);
  plan.call.member_id = population.members[slot()];
  plan.call.keys = {identity().key};
  plan.call.verified = random.Below(2) == 0;
  if (!stage_.checker.Knows(plan.call.member_id) && random.Below(2) == 0) plan.call.verb = Verb::kRegister;
  if (plan.call.verb == Verb::kUnbind && random.Below(4) != 0) {
    plan.call.member_id = stage_.checker.HolderOf(plan.call.keys[0]).value_or(plan.call.member_id);
  }
  if (plan.call.verb == Verb::kMerge || plan.call.verb == Verb::kUnmerge) DrawSource(plan);
  if (random.Below(20) == 0) plan.context.expected_version = Version(static_cast<std::int64_t>(1 + random.Below(6)));
  if (plan.call.verb == Verb::kClose) {
    // Nobody waits for the close: the next call may already use the newcomer.
    for (MemberId& id : population.members) {
      if (id == plan.call.member_id) id = DrawId(random);
    }
  }
  if (plan.call.verb != Verb::kRegister) return plan;

  plan.wanted.identities = {identity()};
  if (random.Below(2) == 0 && plan.wanted.identities[0].key != population.identities[0].key) {
    plan.wanted.identities.push_back(population.identities[0]);
  }
  plan.call.keys.clear();
  for (const Identity& each : plan.wanted.identities) plan.call.keys.push_back(each.key);
  if (random.Below(4) == 0) plan.call.member_id = MemberId(0);
  plan.wanted.id = plan.call.member_id;
  plan.imported = plan.call.member_id != MemberId(0);
  if (random.Below(4) != 0) plan.operation_id = process_.ids().NextOperationId();
  return plan;
}

// Another member; of an unmerge rather one that is merged, and rather into that very one.
void Client::DrawSource(Plan& plan) {
  Random& random = stage_.around.random;
  const std::vector<MemberId>& members = stage_.population.members;
  const std::size_t first = random.Below(members.size());
  for (std::size_t index = 0; index < members.size(); ++index) {
    const MemberId id = members[(first + index) % members.size()];
    const std::optional<MemberId> survivor = stage_.checker.SurvivorOf(id);
    if (plan.call.verb == Verb::kUnmerge && survivor && random.Below(8) != 0) {
      plan.call.source_id = id;
      plan.call.member_id = *survivor;
      return;
    }
    if (id != plan.call.member_id) plan.call.source_id = id;
  }
}

void Client::Begin() {
  Random& random = stage_.around.random;
  Plan plan = again_ ? std::move(*again_) : Draw();
  again_.reset();
  plan.call.request_id = "r" + std::to_string(++stage_.requests);
  plan.call.began = stage_.checker.now();
  plan.context.caller = process_.name();
  plan.context.request_id = plan.call.request_id;
  plan.context.operation_id = plan.operation_id;
  plan.context.deadline = Deadline();
  if (random.Below(3) == 0) {
    plan.context.deadline = Deadline::After(process_.clock(), std::chrono::milliseconds(1 + random.Below(500)));
  }
  stage_.around.trace([&] {
    const std::string member =
        plan.call.member_id == MemberId(0) ? "a new id" : std::to_string(plan.call.member_id.value());
    return process_.name() + " begins " + std::string(VerbName(plan.call.verb)) + " " + plan.call.request_id + " of " +
           member + ", identity " + std::to_string(plan.call.keys[0].bytes[15]);
  });
  under_way_ = plan;
  task_.emplace(Make(std::move(plan)));
  task_->Start();
}

Task<bool> Client::Make(Plan plan) {
  const Call& call = plan.call;
  MemberWriter& writer = process_.writer();
  if (call.verb == Verb::kGet) {
    const Result<std::optional<Member>> member = co_await Get(process_.shards(), call.member_id);
    stage_.checker.Read(call, member);
    Done(plan, false);
    co_return true;
  }
  if (call.verb == Verb::kResolve) {
    const bool one_look = stage_.around.databases.bug() == Planted::kOneLook;
    const Result<std::optional<MemberId>> holder = co_await Resolve(process_.shards(), call.keys[0], one_look);
    stage_.checker.Resolved(call, holder);
    Done(plan, false);
    co_return true;
  }

  Result<Member> answer = Fail(Reason::kInternal, "not called");
  if (call.verb == Verb::kRegister) {
    answer = co_await writer.Register(plan.wanted, plan.imported, plan.context);
  } else if (call.verb == Verb::kBind) {
    Identity identity;
    for (const Identity& each : stage_.population.identities) {
      if (each.key == call.keys[0]) identity = each;
    }
    identity.verified = call.verified;
    answer = co_await writer.Bind(call.member_id, std::move(identity), plan.context);
  } else if (call.verb == Verb::kMerge) {
    answer = co_await writer.Merge(call.member_id, call.source_id, false, plan.context);
  } else if (call.verb == Verb::kUnmerge) {
    answer = co_await writer.Unmerge(call.member_id, call.source_id, false, plan.context);
  } else if (call.verb == Verb::kUnbind) {
    answer = co_await writer.Unbind(call.member_id, call.keys[0], plan.context);
  } else if (call.verb == Verb::kClose) {
    answer = co_await writer.Close(call.member_id, plan.context);
  } else {
    MemberPatch patch;
    patch.fields = {"displayName"};
    patch.values.display_name = call.request_id;
    answer = co_await writer.Update(call.member_id, std::move(patch), plan.context);
  }
  stage_.around.trace([&] {
    return process_.name() + " answers " + call.request_id + ": " +
           (answer ? "OK, version " + std::to_string(answer->version.value()) : std::string(answer.error().code()));
  });
  stage_.checker.Answered(call, answer);
  if (answer && call.verb == Verb::kRegister && call.member_id == MemberId(0)) {
    stage_.population.members[stage_.around.random.Below(stage_.population.members.size())] = answer->id;
  }
  Done(plan, !answer && answer.error().reason == Reason::kOutcomeUnknown);
  co_return true;
}

void Client::Done(const Plan& plan, bool is_unknown) {
  under_way_.reset();
  if (is_unknown && stage_.around.random.Below(2) == 0) again_ = plan;
  if (--calls_left_ == 0) {
    --stage_.clients_busy;
    return;
  }
  GoOn();
}

}  // namespace muster::sim
