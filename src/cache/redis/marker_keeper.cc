#include "cache/redis/marker_keeper.h"

#include <memory>
#include <utility>

#include "cache/redis/command.h"

namespace muster::redis {
namespace {

constexpr ShardId kAnyShard{0};  // all have the same marker

}  // namespace

MarkerRef MarkerKeeper::Peek(Epoch epoch) {
  if (marker_ != nullptr && marker_->epoch() == epoch) return marker_;
  if (!is_looking_ && (looked_ == Instant::min() || timer_.Now() - looked_ >= kPause)) Look(epoch);
  return nullptr;
}

void MarkerKeeper::Find(Epoch epoch, FoundReply reply) {
  if (marker_ != nullptr && marker_->epoch() == epoch) return reply(marker_);
  if (waiters_.size() >= kWaitersMax) return reply(std::unexpected(Fault::kTooMany));
  waiters_.emplace_back(epoch, std::move(reply));
  if (!is_looking_) Look(epoch);
}

void MarkerKeeper::Look(Epoch epoch) {
  is_looking_ = true;
  nodes_.Send({.slot = SlotOf(kAnyShard),
               .command = MakeCommand("GET", keys_.Marker(kAnyShard)),
               .marker = nullptr,
               .deadline = Deadline(timer_.Now() + timeout_),
               .done = [this, epoch](const Outcome& outcome) { OnLooked(epoch, outcome); }});
}

void MarkerKeeper::OnLooked(Epoch epoch, const Outcome& outcome) {
  is_looking_ = false;
  looked_ = timer_.Now();
  Found found = std::unexpected(outcome ? Fault::kLost : outcome.error().fault);
  if (outcome) {
    const auto text = outcome->view().text();
    std::optional<Marker> marker = text ? Marker::Parse(*text) : std::nullopt;
    if (marker && marker->epoch() == epoch) found = marker_ = std::make_shared<const Marker>(*std::move(marker));
  }
  // Those who came for another epoch meanwhile begin anew, if this look could not tell them.
  auto waiters = std::exchange(waiters_, {});
  for (auto& [wanted, reply] : waiters) {
    if (wanted == epoch || !outcome) {
      reply(found);
    } else {
      Find(wanted, std::move(reply));
    }
  }
}

}  // namespace muster::redis
