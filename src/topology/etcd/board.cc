#include "topology/etcd/board.h"

#include <utility>
#include <vector>

#include "topology/etcd/messages.h"

namespace muster::etcd {
namespace {

class EtcdObserverBoard final : public failover::ObserverBoard {
 public:
  EtcdObserverBoard(Client& client, std::string prefix, Duration timeout)
      : client_(client), prefix_(std::move(prefix)), timeout_(timeout) {}

  Result<std::vector<failover::ObserverReport>> Exchange(const failover::ObserverReport& own) override {
    const std::string request = ExchangeRequest(prefix_ + own.observer, RenderReport(own), prefix_);
    // Done twice it is as if it was done once, so it may be sent again like a read.
    MUSTER_ASSIGN(const Answer answer,
                  client_.Call("/v3/kv/txn", request, Effect::kRead, Deadline::After(client_.clock(), timeout_)));
    MUSTER_ASSIGN(const std::vector<std::string> texts, ParseExchange(answer.body));
    std::vector<failover::ObserverReport> reports;
    for (const std::string& text : texts) {
      if (reports.size() == failover::kObserversMax) break;
      // One that is not understood is of another version of muster, and says nothing to this one.
      if (auto report = failover::ParseReport(text)) reports.push_back(*std::move(report));
    }
    return reports;
  }

 private:
  Client& client_;
  const std::string prefix_;
  const Duration timeout_;
};

}  // namespace

std::unique_ptr<failover::ObserverBoard> MakeObserverBoard(Client& client, std::string prefix, Duration timeout) {
  return std::make_unique<EtcdObserverBoard>(client, std::move(prefix), timeout);
}

}  // namespace muster::etcd
