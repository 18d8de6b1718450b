#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "process.h"
#include "resolve.h"

namespace muster::sim {
namespace {

// How often, of a thousand, a client rests for as long as answers are kept.
constexpr std::uint64_t kRests = 4;

}  // namespace

void Client::GoOn() {
  if (calls_left_ == 0) return;
  Random& random = stage_.around.random;
  Duration thinking(100 + random.Below(20'000));
  if (random.Below(1'000) < kRests) thinking += kAnswerRetention;
  process_.InThisLife(thinking, [this] { Begin(); });
}

void Client::CutOff() {
  task_.reset();
  if (!under_way_) return;
  if (stage_.around.random.Below(2) == 0) again_ = std::move(under_way_);
  under_way_.reset();
}

Plan Client::Next() {
  if (again_) return *std::exchange(again_, std::nullopt);
  Random& random = stage_.around.random;
  const Plan* earlier = random.Below(8) == 0 ? stage_.earlier.Draw(random) : nullptr;
  if (earlier != nullptr) return *earlier;
  return Planner(random, stage_.population, stage_.checker, stage_.earlier).Draw(process_.ids());
}

void Client::Begin() {
  Plan plan = Next();
  plan.call.request_id = "r" + std::to_string(++stage_.requests);
  plan.call.began = stage_.checker.now();
  plan.call.sent = stage_.around.scheduler.now();
  if (plan.call.idempotency) stage_.earlier.Note(plan);
  stage_.around.trace([&] {
    const std::string member =
        plan.call.member_id == MemberId(0) ? "a new id" : std::to_string(plan.call.member_id.value());
    const std::string key =
        plan.call.idempotency ? ", key " + ToHex(plan.call.idempotency->key.bytes).substr(0, 6) : std::string();
    return process_.name() + " begins " + NameOf(plan.call) + " of " + member + ", identity " +
           std::to_string(plan.call.keys[0].bytes[15]) + key;
  });
  stage_.checker.Began(plan.call);
  under_way_ = plan;
  task_.emplace(Make(std::move(plan)));
  task_->Start();
}

Task<bool> Client::Make(Plan plan) {
  const Call& call = plan.call;
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

  const Result<Member> answer = co_await Write(plan, plan.call.replayed);
  stage_.around.trace([&] {
    return process_.name() + " answers " + call.request_id + ": " +
           (answer ? "OK, version " + std::to_string(answer->version.value()) : std::string(answer.error().code())) +
           (call.replayed ? ", as before" : "");
  });
  stage_.checker.Answered(call, answer, stage_.around.scheduler.now());
  if (answer && call.verb == Verb::kRegister && call.member_id == MemberId(0)) {
    std::vector<MemberId>& members = stage_.population.members;
    if (std::ranges::find(members, answer->id) == members.end()) {
      members[stage_.around.random.Below(members.size())] = answer->id;
    }
  }
  plan.call.replayed = false;
  Done(plan, !answer && answer.error().reason == Reason::kOutcomeUnknown);
  co_return true;
}

// `replayed` lives until the answer is there.
Task<Result<Member>> Client::Write(const Plan& plan, bool& replayed) {
  const Call& call = plan.call;
  MemberWriter& writer = process_.writer();
  WriteContext context{.caller = process_.name(),
                       .request_id = call.request_id,
                       .deadline = DrawDeadline(call),
                       .expected_version = call.expected_version,
                       .operation_id = plan.operation_id};
  if (call.idempotency) {
    context.idempotency =
        Idempotency{.key = call.idempotency->key, .fingerprint = call.idempotency->fingerprint, .replayed = &replayed};
  }
  switch (call.verb) {
    case Verb::kRegister:
      return writer.Register(plan.wanted, plan.imported, std::move(context));
    case Verb::kBind: {
      Identity identity;
      for (const Identity& each : stage_.population.identities) {
        if (each.key == call.keys[0]) identity = each;
      }
      identity.verified = call.verified;
      return writer.Bind(call.member_id, std::move(identity), std::move(context));
    }
    case Verb::kMerge:
      return process_.merger().Merge(call.member_id, call.source_id, false, std::move(context));
    case Verb::kUnmerge:
      return process_.merger().Unmerge(call.member_id, call.source_id, false, std::move(context));
    case Verb::kUnbind:
      return writer.Unbind(call.member_id, call.keys[0], std::move(context));
    case Verb::kClose:
      return writer.Close(call.member_id, std::move(context));
    default: {
      MemberPatch patch;
      patch.fields = {"displayName"};
      patch.values.display_name = plan.name;
      return writer.Update(call.member_id, std::move(patch), std::move(context));
    }
  }
}

// A call with a key has one always.
Deadline Client::DrawDeadline(const Call& call) {
  Random& random = stage_.around.random;
  if (random.Below(3) == 0) {
    return Deadline::After(process_.clock(), std::chrono::milliseconds(1 + random.Below(500)));
  }
  return call.idempotency ? Deadline::After(process_.clock(), kKeyedDeadlineMax) : Deadline();
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
