#include "search/indexer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/thread_name.h"

namespace muster {

Indexer::Indexer(Dependencies dependencies)
    : dependencies_(std::move(dependencies)),
      indexed_(
          dependencies_.metrics->AddCounter("muster_search_indexed_total", "Members brought into the search index.")),
      rebuilds_(dependencies_.metrics->AddCounter("muster_search_rebuilds_total",
                                                  "How often the search index was begun anew.")) {
  dependencies_.metrics->AddGauge("muster_search_lag_changes", "Committed changes that the search index lacks.",
                                  [this] { return static_cast<double>(lag_changes_.load()); });
  dependencies_.metrics->AddGauge(
      "muster_search_lag_seconds",
      "How old the oldest committed change is that the search index lacks; 0: it lacks none.", [this] {
        const std::int64_t since = behind_since_us_.load();
        if (since == 0) return 0.0;
        const std::int64_t age = dependencies_.clock->Now().time_since_epoch().count() - since;
        return static_cast<double>(std::max<std::int64_t>(age, 0)) / 1e6;
      });
}

Indexer::~Indexer() { MUSTER_CHECK(!thread_.joinable()); }

void Indexer::Start() {
  if (const Result<void> opened = Open(); !opened) {
    dependencies_.logger->Warning("the search index cannot be opened; trying again",
                                  {{"error", opened.error().message}});
  }
  subscription_ = dependencies_.feed->Subscribe([this] {
    {
      std::lock_guard lock(mutex_);
      woken_ = true;
    }
    changed_.notify_one();
  });
  thread_ = std::thread([this] { Run(); });
  NameThread(thread_, "indexer");
}

void Indexer::Stop() {
  if (!thread_.joinable()) return;
  subscription_.reset();
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
  is_serving_ = false;
  writer_.reset();
}

void Indexer::Distrust() {
  is_serving_ = false;
  is_distrusted_ = true;
  {
    std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_one();
}

bool Indexer::Wait(Duration at_most, bool until_woken) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, at_most, [&] { return stopping_ || (until_woken && woken_); });
  if (until_woken) woken_ = false;
  return !stopping_;
}

void Indexer::Run() {
  bool is_failing = false;
  bool go_on = true;
  while (go_on) {
    const Instant started = dependencies_.clock->Monotonic();
    const Result<std::size_t> step = Step();
    if (!step && !is_failing) {
      // Once for a row of failures: a full disk lasts.
      dependencies_.logger->Warning("the search index is not brought forward; trying again each second",
                                    {{"error", step.error().message}});
    } else if (step && is_failing) {
      dependencies_.logger->Info("the search index is brought forward again");
    }
    is_failing = !step;
    if (!step) {
      go_on = Wait(kRetryAfter, false);
    } else if (*step == 0) {
      // A subscription may be lost with what it is to; a look now and then costs nothing.
      go_on = Wait(kLookAgainAfter, true);
    } else {
      go_on = Wait(RestAfter(*step, dependencies_.clock->Monotonic() - started), false);
    }
  }
}

Duration Indexer::RestAfter(std::size_t count, Duration took) const {
  if (count >= kStep || !writer_->state().is_built) return Duration(0);
  return std::max(dependencies_.refresh, std::min<Duration>(took * kRestFactor, kRestMax));
}

Result<std::size_t> Indexer::Step() {
  if (is_distrusted_.exchange(false)) MUSTER_TRY(BeginAnew("it is damaged"));
  if (!writer_) MUSTER_TRY(Open());
  Result<std::size_t> done = writer_->state().is_built ? Follow() : Build();
  if (!done && done.error().reason == Reason::kPositionExpired) {
    MUSTER_TRY(BeginAnew("the changes after its position are not kept any more"));
    return std::size_t{1};
  }
  return done;
}

Result<void> Indexer::Open() {
  MUSTER_ASSIGN(writer_, IndexWriter::Open(dependencies_.path, dependencies_.installation, dependencies_.cache_bytes));
  if (writer_->state().is_built) {
    MUSTER_ASSIGN(const bool knows_feed, KnowsFeed());
    if (!knows_feed) return BeginAnew("it was made from other data than this");
    is_serving_ = true;
  }
  Publish();
  return {};
}

Result<bool> Indexer::KnowsFeed() {
  const IndexState& state = writer_->state();
  MUSTER_ASSIGN(const ChangeFeed::Bounds bounds, dependencies_.feed->ReadBounds());
  latest_seen_ = bounds.latest;
  if (state.position > bounds.latest || state.position < bounds.before_earliest) return false;
  if (!state.last || state.last->position <= bounds.before_earliest) return true;
  MUSTER_ASSIGN(const ChangeFeed::Page page, dependencies_.feed->Read(state.last->position - 1, 1));
  return !page.events.empty() && page.events[0] == *state.last;
}

Result<void> Indexer::BeginAnew(std::string_view why) {
  is_serving_ = false;
  rebuilds_.Add();
  dependencies_.logger->Warning("the search index is built anew", {{"why", why}});
  writer_.reset();
  Result<void> made;
  dependencies_.with_readers_away([&] {
    made = RemoveIndexFile(dependencies_.path);
    if (!made) return;
    auto writer = IndexWriter::Open(dependencies_.path, dependencies_.installation, dependencies_.cache_bytes);
    if (writer) {
      writer_ = std::move(*writer);
    } else {
      made = std::unexpected(std::move(writer).error());
    }
  });
  if (made) Publish();
  return made;
}

Result<std::size_t> Indexer::Build() {
  IndexState next = writer_->state();
  if (next.built == 0) {
    // Whatever changes from here on is applied after the members, as they may have been read before it.
    MUSTER_ASSIGN(const ChangeFeed::Bounds bounds, dependencies_.feed->ReadBounds());
    next.position = bounds.latest;
    if (bounds.latest > bounds.before_earliest) {
      MUSTER_ASSIGN(const ChangeFeed::Page page, dependencies_.feed->Read(bounds.latest - 1, 1));
      if (!page.events.empty()) next.last = page.events[0];
    }
  }
  MUSTER_TRY(writer_->Begin());
  std::size_t read_count = 0;
  while (read_count < kStep && !next.is_built) {
    MUSTER_ASSIGN(const std::vector<Member> read,
                  dependencies_.archive->ScanMembers(MemberId(next.build_after), kReadStep));
    MUSTER_TRY(writer_->Add(read));
    if (!read.empty()) next.build_after = read.back().id.value();
    read_count += read.size();
    next.is_built = read.size() < kReadStep;
  }
  next.built += static_cast<std::int64_t>(read_count);
  MUSTER_TRY(writer_->Commit(next));
  indexed_.Add(read_count);
  Publish();
  if (next.is_built && next.built > 0) {
    dependencies_.logger->Info("the search index is built", {{"members", next.built}});
  }
  return read_count + 1;
}

Result<std::size_t> Indexer::Follow() {
  IndexState next = writer_->state();
  MUSTER_ASSIGN(const ChangeFeed::Bounds bounds, dependencies_.feed->ReadBounds());
  latest_seen_ = std::max(latest_seen_, bounds.latest);
  MUSTER_ASSIGN(const ChangeFeed::Page page, dependencies_.feed->Read(next.position, kStep));
  if (page.events.empty()) {
    behind_since_us_ = 0;
    lag_changes_ = 0;
    is_serving_ = true;
    return std::size_t{0};
  }
  behind_since_us_ = page.events[0].time.time_since_epoch().count();
  Publish();
  MUSTER_TRY(writer_->Begin());
  MUSTER_TRY(AddChanged(page.events));
  next.position = page.next;
  next.last = page.events.back();
  MUSTER_TRY(writer_->Commit(next));
  Publish();
  const bool has_all = page.events.size() < kStep;
  if (has_all) {
    behind_since_us_ = 0;
    is_serving_ = true;
  }
  return page.events.size();
}

Result<void> Indexer::AddChanged(const std::vector<ChangeEvent>& events) {
  std::vector<MemberId> ids;
  ids.reserve(events.size());
  for (const ChangeEvent& event : events) ids.push_back(event.member_id);
  std::ranges::sort(ids);
  const auto repeated = std::ranges::unique(ids);
  ids.erase(repeated.begin(), repeated.end());
  for (std::size_t begin = 0; begin < ids.size(); begin += kReadStep) {
    const std::span<const MemberId> some = std::span(ids).subspan(begin, std::min(kReadStep, ids.size() - begin));
    MUSTER_ASSIGN(const std::vector<Member> members, dependencies_.archive->ReadMembers(some));
    MUSTER_TRY(writer_->Add(members));
  }
  indexed_.Add(ids.size());
  return {};
}

void Indexer::Publish() {
  built_ = writer_->state().built;
  lag_changes_ = std::max<std::int64_t>(latest_seen_ - writer_->state().position, 0);
}

}  // namespace muster
