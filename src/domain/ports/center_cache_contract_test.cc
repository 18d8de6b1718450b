#include "domain/ports/center_cache_contract.h"

#include "domain/testing/memory_center_cache.h"

namespace muster {
namespace {

class MemoryCenterFactory {
 public:
  MemoryCenterFactory() { center_.BeginEpoch(Epoch(1)); }
  CenterCache& cache(int view) { return view == 0 ? one_ : other_; }
  void SetState(CacheState state) { state_ = state; }
  std::optional<bool> BeginEpoch(Epoch epoch) { return center_.BeginEpoch(epoch); }
  void RunUntil(const std::function<bool()>& done) { EXPECT_TRUE(done()); }
  void LoseEverything() { center_.Forget(); }
  void OutlastLease() { clock_.Advance(testing::MemoryCenter::kLease); }
  Instant now() { return clock_.Monotonic(); }

 private:
  ManualClock clock_;
  CacheState state_{.epoch = Epoch(1), .mode = CacheMode::kOn};
  testing::MemoryCenter center_{clock_};
  testing::MemoryCenterCache one_{center_, [this] { return state_; }};
  testing::MemoryCenterCache other_{center_, [this] { return state_; }};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, CenterCacheContract, MemoryCenterFactory);

}  // namespace
}  // namespace muster
