#include <utility>

#include "base/check.h"
#include "store/binding.h"
#include "store/binding_steps.h"
#include "store/merge.h"

namespace muster {
namespace {

class BindingMerger final : public MemberMerger {
 public:
  explicit BindingMerger(const BindingDependencies& dependencies)
      : moves_(*dependencies.shards, *dependencies.clock, *dependencies.timer),
        merges_({.shards = *dependencies.shards,
                 .catalog = *dependencies.catalog,
                 .ids = *dependencies.ids,
                 .clock = *dependencies.clock},
                moves_) {}

  Task<Result<Member>> Merge(MemberId id, MemberId source, bool dry_run, WriteContext context) override {
    return Run({.kind = MoveMark::Kind::kMerge, .survivor = id, .source = source, .dry_run = dry_run},
               std::move(context));
  }
  Task<Result<Member>> Unmerge(MemberId id, MemberId source, bool dry_run, WriteContext context) override {
    return Run({.kind = MoveMark::Kind::kUnmerge, .survivor = id, .source = source, .dry_run = dry_run},
               std::move(context));
  }

 private:
  Task<Result<Member>> Run(MergeRequest request, WriteContext context) {
    MUSTER_CO_ASSIGN(MergeProtocol::Answer answer, co_await merges_.Run(request, context));
    co_return answer.is_replay ? Replay(std::move(answer.member), context) : std::move(answer.member);
  }

  MoveWaiter moves_;
  MergeProtocol merges_;
};

}  // namespace

std::unique_ptr<MemberMerger> MakeBindingMerger(const BindingDependencies& dependencies) {
  MUSTER_CHECK(dependencies.shards && dependencies.catalog && dependencies.ids && dependencies.clock &&
               dependencies.timer);
  return std::make_unique<BindingMerger>(dependencies);
}

}  // namespace muster
