#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <utility>

#include "base/encoding.h"
#include "topology/etcd/board.h"
#include "topology/etcd/client.h"
#include "topology/etcd/messages.h"
#include "topology/etcd/signal.h"
#include "topology/topology_codec.h"
#include "topology/topology_etcd.h"

namespace muster::etcd {
namespace {

// etcd's own bound of a request is 1.5 MiB unless it is told otherwise, with base64 taken off.
constexpr std::size_t kDocumentBytesMax = std::size_t{1} << 20;
// How often somebody else may be faster.
constexpr int kSwapsMax = 100;
constexpr Duration kRestAfterSwap = std::chrono::milliseconds(2);
constexpr Duration kRestAfterSwapMax = std::chrono::milliseconds(64);
constexpr std::int64_t kTimeoutMsMin = 10;
constexpr std::int64_t kTimeoutMsMax = 60'000;

class EtcdTopology final : public EtcdTopologyStore {
 public:
  EtcdTopology(const EtcdOptions& options, const EtcdDependencies& dependencies)
      : client_(options, dependencies),
        random_(*dependencies.random),
        timeout_(std::chrono::milliseconds(options.timeout_ms)),
        prefix_(options.prefix),
        key_(options.prefix + "topology"),
        author_key_(options.prefix + "topology.author"),
        name_("etcd's key \"" + key_ + "\"") {}

  Result<std::shared_ptr<const TopologyDocument>> Read() override {
    MUSTER_ASSIGN(const Stored stored, Load(Deadline::After(client_.clock(), timeout_)));
    MUSTER_ASSIGN(TopologyDocument document, Understand(stored));
    return std::make_shared<const TopologyDocument>(std::move(document));
  }

  Result<std::shared_ptr<const TopologyDocument>> Update(
      const std::function<Result<void>(TopologyDocument&)>& change) override {
    const Deadline deadline = Deadline::After(client_.clock(), timeout_);
    // Threads of this process go one after the other, so that they are no rivals.
    MUSTER_TRY(TakeTurn(deadline));
    auto updated = UpdateInTurn(change, deadline);
    EndTurn();
    return updated;
  }

  std::unique_ptr<TopologySignal> MakeSignal() override { return MakeWatchSignal(client_, key_); }
  std::unique_ptr<failover::ObserverBoard> MakeBoard() override {
    return MakeObserverBoard(client_, prefix_ + "observers/", timeout_);
  }

 private:
  using Stored = std::optional<KeyValue>;

  Result<void> TakeTurn(Deadline deadline) {
    std::unique_lock lock(mutex_);
    const Duration left = deadline.at() - client_.clock().Monotonic();
    if (!free_.wait_for(lock, left, [this] { return !is_taken_; })) {
      return Fail(
          Reason::kWritesUnavailable,
          "other changes of the topology by this process took all of the time; nothing was changed. See whether "
          "etcd is slow");
    }
    is_taken_ = true;
    return {};
  }

  void EndTurn() {
    {
      std::lock_guard lock(mutex_);
      is_taken_ = false;
    }
    free_.notify_one();
  }

  Result<Stored> Load(Deadline deadline) {
    MUSTER_ASSIGN(const Answer answer, client_.Call("/v3/kv/range", RangeRequest(key_), Effect::kRead, deadline));
    return ParseRange(answer.body);
  }

  Result<TopologyDocument> Understand(const Stored& stored) const {
    if (!stored) return TopologyDocument{};
    return ParseTopology(name_, stored->value);
  }

  Result<std::shared_ptr<const TopologyDocument>> UpdateInTurn(
      const std::function<Result<void>(TopologyDocument&)>& change, Deadline deadline) {
    auto loaded = Load(deadline);
    if (!loaded) {
      Error error = std::move(loaded).error();
      if (error.reason == Reason::kStale) error.reason = Reason::kWritesUnavailable;
      error.message += ". Nothing was changed";
      return Fail(std::move(error));
    }
    Stored stored = std::move(*loaded);
    Duration rest = kRestAfterSwap;
    for (int i = 0; i < kSwapsMax && !deadline.Passed(client_.clock()); ++i) {
      MUSTER_ASSIGN(const TopologyDocument current, Understand(stored));
      MUSTER_ASSIGN(TopologyDocument document, ChangeTopology(current, name_, change));
      MUSTER_ASSIGN(const bool is_stored, Replace(stored, RenderTopology(document), deadline));
      if (is_stored) return std::make_shared<const TopologyDocument>(std::move(document));
      // At once the first time: we know what is there now, and whoever was faster must read it before his next change.
      if (i > 0) {
        client_.Rest(rest, deadline);
        rest = std::min(rest * 2, kRestAfterSwapMax);
      }
    }
    return Fail(
        Reason::kWritesUnavailable,
        "others changed the topology each time before this change could be stored; nothing was changed. Try again");
  }

  // False: somebody else was faster, and `stored` is what he stored.
  Result<bool> Replace(Stored& stored, const std::string& text, Deadline deadline) {
    if (text.size() > kDocumentBytesMax) {
      return Fail(Reason::kLimitExceeded, "the topology would have more than " + std::to_string(kDocumentBytesMax) +
                                              " bytes, which etcd does not take; remove callers or their keys");
    }
    const std::string author = MakeAuthor();
    const std::string request = SwapRequest({.key = key_,
                                             .mod_revision = stored ? stored->mod_revision : 0,
                                             .value = text,
                                             .author_key = author_key_,
                                             .author = author});
    MUSTER_ASSIGN(const Answer answer, client_.Call("/v3/kv/txn", request, Effect::kChange, deadline));
    auto parsed = ParseSwap(answer.body);
    if (!parsed) return Fail(Reason::kOutcomeUnknown, std::move(parsed).error().message);
    SwapAnswer& swap = *parsed;
    if (swap.is_done) return true;
    if (answer.is_repeated) {
      // An earlier attempt, whose answer was lost, may have been the faster one.
      if (IsOurs(swap, author)) return true;
      if (!IsNextAfter(stored, swap.current)) {
        return Fail(
            Reason::kOutcomeUnknown,
            "etcd's answer to this change of the topology was lost, and others have changed it since: it may be "
            "among what is there. Read the topology before it is made again");
      }
    }
    stored = std::move(swap.current);
    return false;
  }

  // A key that was put by hand has no author of its own.
  static bool IsOurs(const SwapAnswer& swap, const std::string& author) {
    return swap.current && swap.author && swap.author->mod_revision == swap.current->mod_revision &&
           swap.author->value == author;
  }

  // Whether there was just one put between the two, so that none is hidden behind it.
  static bool IsNextAfter(const Stored& before, const Stored& after) {
    if (!after) return false;
    if (!before) return after->version == 1;
    return after->create_revision == before->create_revision && after->version == before->version + 1;
  }

  std::string MakeAuthor() {
    std::array<std::uint8_t, 16> bytes{};
    random_.Fill(bytes);
    return ToHex(bytes);
  }

  Client client_;
  Random& random_;
  const Duration timeout_;
  const std::string prefix_;
  const std::string key_;
  const std::string author_key_;
  const std::string name_;

  std::mutex mutex_;
  std::condition_variable free_;
  bool is_taken_ = false;  // guarded by mutex_
};

Result<void> Check(const EtcdOptions& options) {
  if (options.endpoints.empty()) return FailField("endpoints", "name at least one, as in http://127.0.0.1:2379");
  for (std::size_t i = 0; i < options.endpoints.size(); ++i) {
    const std::string& endpoint = options.endpoints[i];
    const std::size_t scheme = endpoint.starts_with("http://") ? 7 : endpoint.starts_with("https://") ? 8 : 0;
    if (scheme == 0 || endpoint.size() == scheme || endpoint.find('/', scheme) != std::string::npos) {
      return FailField(Indexed("endpoints", i), "must be http://HOST:PORT or https://HOST:PORT, without a path");
    }
  }
  if (options.prefix.empty()) return FailField("prefix", "must not be empty; each installation has its own");
  if (options.certificate_file.empty() != options.key_file.empty()) {
    return FailField("key_file", "a certificate and its key come together");
  }
  if (options.user.empty() != options.password_file.empty()) {
    return FailField("password_file", "an account and its password come together");
  }
  for (const std::int64_t timeout_ms : {options.attempt_timeout_ms, options.timeout_ms}) {
    if (timeout_ms < kTimeoutMsMin || timeout_ms > kTimeoutMsMax) {
      return FailField("timeout_ms", "time-outs are from 10 ms to 60 s");
    }
  }
  return {};
}

}  // namespace
}  // namespace muster::etcd

namespace muster {

Result<std::unique_ptr<EtcdTopologyStore>> OpenTopologyEtcd(const EtcdOptions& options,
                                                            const EtcdDependencies& dependencies) {
  MUSTER_TRY(etcd::Check(options));
  auto store = std::make_unique<etcd::EtcdTopology>(options, dependencies);
  MUSTER_TRY(store->Read());
  return store;
}

}  // namespace muster
