#include "topology/etcd/signal.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <string_view>
#include <utility>

#include "topology/etcd/http.h"

namespace muster::etcd {
namespace {

// etcd writes a message a line, its small fields before the events: that it has ended a watch stands here.
constexpr std::size_t kLineBytesKept = 1024;
constexpr Duration kReopenMin = std::chrono::milliseconds(100);
constexpr Duration kReopenMax = std::chrono::seconds(3);

// A watch of one key that is opened again when it ends. It begins with what is put from then on, so it tells of its own
// opening: what was missed is found by a read. It never asks for the past, which may have been compacted.
class WatchSignal final : public TopologySignal {
 public:
  WatchSignal(Client& client, std::string key)
      : client_(client), key_(std::move(key)), stream_(client.tls(), [this](std::string_view piece) { Take(piece); }) {}

  bool Wait(Duration at_most) override {
    const Instant until = Now() + at_most;
    do {
      // Where reads found no answer, a watch may hang as well, and nobody would notice.
      if (stream_.is_open() && !client_.IsPreferred(request_)) stream_.Close();
      if (!stream_.is_open() && Now() >= open_at_) Open();
      const Instant wake_at = stream_.is_open() ? until : std::min(until, std::max(open_at_, Now()));
      stream_.Turn(wake_at - Now());
      if (is_ended_) stream_.Close();
      if (std::exchange(is_opened_, stream_.is_open()) && !stream_.is_open()) Lose();
      if (is_woken_.exchange(false)) return false;
      if (std::exchange(has_news_, false)) return true;
    } while (Now() < until);
    return false;
  }

  void Wake() override {
    is_woken_ = true;
    stream_.Wake();
  }

 private:
  Instant Now() const { return client_.clock().Monotonic(); }

  void Open() {
    request_ = client_.WatchOf(key_);
    line_.clear();
    is_ended_ = false;
    open_at_ = Now() + kReopenMin;
    stream_.Open(request_);
    is_opened_ = true;
  }

  void Lose() {
    client_.Avoid(request_);
    reopen_ = std::min(reopen_ * 2, kReopenMax);
    open_at_ = Now() + reopen_;
  }

  void Take(std::string_view piece) {
    while (!piece.empty()) {
      const std::size_t end = std::min(piece.find('\n'), piece.size());
      line_.append(piece.substr(0, std::min(end, kLineBytesKept - std::min(line_.size(), kLineBytesKept))));
      if (end == piece.size()) return;
      TakeLine();
      line_.clear();
      piece.remove_prefix(end + 1);
    }
  }

  void TakeLine() {
    // Values are base64, so nothing in them looks like this.
    is_ended_ = is_ended_ || line_.find("\"canceled\":true") != std::string::npos || line_.starts_with("{\"error\"");
    if (!is_ended_) reopen_ = kReopenMin;
    has_news_ = true;
  }

  Client& client_;
  const std::string key_;
  Request request_;
  Stream stream_;
  std::string line_;
  Duration reopen_ = kReopenMin;
  Instant open_at_{};
  bool is_opened_ = false;
  bool is_ended_ = false;
  bool has_news_ = false;
  std::atomic<bool> is_woken_ = false;
};

}  // namespace

std::unique_ptr<TopologySignal> MakeWatchSignal(Client& client, std::string key) {
  return std::make_unique<WatchSignal>(client, std::move(key));
}

}  // namespace muster::etcd
