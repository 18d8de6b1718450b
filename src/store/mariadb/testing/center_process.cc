#include "store/mariadb/testing/center_process.h"

#include "base/check.h"
#include "domain/ports/shard_store_testing.h"

namespace muster::testing {

using std::chrono::milliseconds;

CenterProcess::CenterProcess(MariadbRunners& runners, const std::string& center, Duration replica_lag_max)
    : topology_(runners.store()),
      keeper_(center, LeaseTerm::kTimed),
      placement_([&runner = runners[center == "east" ? "se" : "sw"]] { return runner.Status(); }, center, clock_) {
  static std::atomic<int> count{0};
  owner_ = std::to_string(++count);
  owner_.insert(0, 32 - owner_.size(), '0');
  options_.database = "members";
  options_.user = "app";
  options_.connections = 4;
  options_.readers = 2;
  options_.connect_timeout_ms = options_.lock_wait_ms = 1'000;
  options_.replica_lag_max_ms = std::chrono::duration_cast<milliseconds>(replica_lag_max).count();
  options_.allow_unsafe_settings = true;
  lease_thread_ = std::thread([this] { KeepLease(); });
}

CenterProcess::~CenterProcess() {
  if (store_) store_->Close();
  stops_ = true;
  lease_thread_.join();
}

void CenterProcess::KeepLease() {
  while (!stops_) {
    const Instant sent = clock_.Monotonic();
    if (auto document = topology_.Read()) keeper_.Confirm(**document, sent);
    std::this_thread::sleep_for(milliseconds(50));
  }
}

Result<void> CenterProcess::Open() {
  auto opened = MariadbStore::Open(options_, {.keyring = &keyring_,
                                              .clock = &clock_,
                                              .random = &random_,
                                              .logger = &NullLogger(),
                                              .metrics = &metrics_,
                                              .floor = &floor_,
                                              .catalog = &catalog_,
                                              .lease = [this] { return keeper_.current(); },
                                              .placement = placement_source_,
                                              .node_owner = owner_});
  if (!opened) return Fail(std::move(opened).error());
  store_ = *std::move(opened);
  reader_ = *store_->MakeReader(loop_);
  return {};
}

void CenterProcess::MustOpen() {
  const Result<void> opened = Open();
  if (!opened) MUSTER_UNREACHABLE(opened.error().message);
}

Result<void> CenterProcess::Write(std::int64_t id, std::int64_t version) {
  Member member = contract::PlainMember(MemberId(id));
  member.version = Version(version);
  return contract::RunAndWait(store_->shards(), 0, [&](ShardTransaction& rows) {
    return rows.WriteMember(member, contract::ChangeOf(member, ChangeType::kUpdated));
  });
}

Result<MemberAnswer> CenterProcess::Read(std::int64_t id, const ReadOptions& options) {
  std::optional<Result<MemberAnswer>> answer;
  reader_->Get(MemberId(id), options, [&](Result<MemberAnswer> result) { answer.emplace(std::move(result)); });
  EXPECT_TRUE(loop_.RunUntil([&] { return answer.has_value(); }));
  return *answer;
}

}  // namespace muster::testing
