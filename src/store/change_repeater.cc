#include "store/change_repeater.h"

#include <algorithm>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/thread_name.h"

namespace muster {
namespace {

// Who holds something after it whom nobody, or somebody else, held it before.
bool Binds(ChangeType type) {
  switch (type) {
    case ChangeType::kRegistered:
    case ChangeType::kImported:
    case ChangeType::kIdentityBound:
    case ChangeType::kMerged:
    case ChangeType::kUnmerged:
      return true;
    default:
      return false;
  }
}

}  // namespace

ChangeRepeater::ChangeRepeater(const Dependencies& dependencies)
    : to_(dependencies),
      repeated_(dependencies.metrics->AddCounter(
          "muster_store_repeated_changes_total",
          "Committed changes of which this process has told the caches of all centers again.")) {
  MUSTER_CHECK(to_.feed && to_.archive && to_.listener && to_.logger);
}

ChangeRepeater::~ChangeRepeater() { Stop(); }

void ChangeRepeater::Start() {
  MUSTER_CHECK(!thread_.joinable());
  thread_ = std::thread([this] { Run(); });
  NameThread(thread_, "repeat");
}

void ChangeRepeater::Stop() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  stopped_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ChangeRepeater::Run() {
  bool is_failing = false;
  Duration rest(0);
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, rest, [this] { return is_stopping_; })) {
    lock.unlock();
    const Result<bool> is_done = RepeatSome();
    if (!is_done && !std::exchange(is_failing, true)) {
      to_.logger->Warning("changes are not repeated to the caches; trying again and again",
                          {{"reason", is_done.error().message}});
    }
    if (is_done) is_failing = false;
    rest = is_failing ? kAgainAfter : (*is_done ? kRest : Duration(0));
    lock.lock();
  }
}

Result<void> ChangeRepeater::Begin() {
  MUSTER_ASSIGN(const ChangeFeed::Bounds bounds, to_.feed->ReadBounds());
  position_ = std::max(bounds.before_earliest, bounds.latest - kBackAtStart);
  return {};
}

Result<bool> ChangeRepeater::RepeatSome() {
  if (!position_) MUSTER_TRY(Begin());
  Result<ChangeFeed::Page> page = to_.feed->Read(*position_, kPageMax);
  if (!page && page.error().reason == Reason::kPositionExpired) {
    to_.logger->Warning("changes were forgotten before they were repeated to the caches", {{"position", *position_}});
    position_.reset();
  }
  if (!page) return Fail(std::move(page).error());
  if (page->events.empty()) return true;
  MUSTER_ASSIGN(TouchedEntries touched, TouchedBy(page->events));
  MUSTER_TRY(Announce(std::move(touched)));
  repeated_.Add(page->events.size());
  position_ = page->next;
  return page->events.size() < kPageMax;
}

Result<TouchedEntries> ChangeRepeater::TouchedBy(const std::vector<ChangeEvent>& events) {
  TouchedEntries touched;
  for (const ChangeEvent& event : events) {
    touched.members.emplace_back(event.member_id, event.version);
    if (!Binds(event.type)) continue;
    MUSTER_ASSIGN(const std::vector<Change> changes,
                  to_.archive->ListHistory(event.member_id, Version(event.version.value() + 1), 1));
    if (changes.empty() || changes[0].version != event.version) continue;
    for (const Change::IdentityRef& identity : changes[0].identities) touched.keys.push_back(identity.key);
  }
  return touched;
}

Result<void> ChangeRepeater::Announce(TouchedEntries touched) {
  const auto told = std::make_shared<std::promise<Result<void>>>();
  to_.listener->Announce(std::move(touched), [told](Result<void> result) { told->set_value(std::move(result)); });
  return told->get_future().get();
}

}  // namespace muster
