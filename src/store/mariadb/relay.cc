#include "store/mariadb/relay.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "base/encoding.h"
#include "base/thread_name.h"

namespace muster::mariadb {
namespace {

// Rows of one append at most, of all groups together.
constexpr std::size_t kAppendRowsMax = 4 * kOutboxRowsMax;
// Commits that come within it are collected together: under load some hundred appends a second would cost as many
// flushes. The first change after a pause goes at once.
constexpr Duration kRelayRest = std::chrono::milliseconds(10);
// After a failure, and for who follows and has nobody to tell.
constexpr Duration kRelayLookAgain = std::chrono::seconds(1);

std::string RandomHolder(Random& random) {
  std::array<std::uint8_t, 12> bytes;
  random.Fill(bytes);
  return ToHex(bytes);
}

}  // namespace

ChangeRelay::ChangeRelay(std::vector<std::unique_ptr<Group>> lanes, StreamFeed& feed, ChangeWakes& wakes, Duration poll,
                         const Dependencies& dependencies)
    : logger_(dependencies.logger),
      feed_(feed),
      wakes_(wakes),
      poll_(poll),
      holder_(RandomHolder(dependencies.random)),
      appended_(dependencies.metrics.AddCounter("muster_store_relay_changes_total",
                                                "Changes that this process has brought into the stream.")),
      appends_(dependencies.metrics.AddCounter("muster_store_relay_appends_total",
                                               "Commits by which this process has brought changes into the stream.")),
      terms_(dependencies.metrics.AddCounter(
          "muster_store_relay_terms_total",
          "How often this process began to bring changes of all groups into the stream.")) {
  for (auto& lane : lanes) sources_.push_back(std::make_unique<Source>(std::move(lane)));
}

ChangeRelay::~ChangeRelay() { Stop(); }

Result<void> ChangeRelay::Start() {
  MUSTER_CHECK(!thread_.joinable());
  for (const auto& source : sources_) MUSTER_TRY(source->lane->Start());
  thread_ = std::thread([this] { Run(); });
  NameThread(thread_, "relay");
  return {};
}

void ChangeRelay::Stop() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  for (const auto& source : sources_) source->lane->Close();
}

void ChangeRelay::Nudge(std::uint32_t group) {
  if (!leads_.load(std::memory_order_relaxed) || sources_[group]->is_nudged.exchange(true)) return;
  {
    std::lock_guard lock(mutex_);
    is_woken_ = true;
  }
  changed_.notify_one();
}

bool ChangeRelay::WaitUntil(Instant until) {
  std::unique_lock lock(mutex_);
  const Instant now = clock_.Monotonic();
  const Duration patience = until > now ? until - now : Duration(0);
  changed_.wait_for(lock, patience, [this] { return is_stopping_ || is_woken_; });
  is_woken_ = false;
  return !is_stopping_;
}

void ChangeRelay::Run() {
  while (WaitUntil(leads() ? NextDue() : renew_at_)) {
    if (leads()) {
      Lead();
    } else {
      Follow();
    }
  }
  if (!leads()) return;
  leads_ = false;
  const auto left = RunInFirst<bool>([term = term_](Transaction& transaction) -> Result<bool> {
    MUSTER_TRY(LeaveRelay(transaction, term));
    return true;
  });
  if (!left) logger_.Debug("the relay's lease was not ended", {{"reason", left.error().message}});
}

template <typename T>
Result<T> ChangeRelay::RunInFirst(std::function<Result<T>(Transaction&)> work) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto value = std::make_shared<std::optional<T>>();
  sources_.front()->lane->Run(
      [value, work = std::move(work)](Transaction& transaction) -> Result<void> {
        MUSTER_ASSIGN(*value, work(transaction));
        return {};
      },
      [promise, value](Result<void> result) {
        if (!result) {
          promise->set_value(std::unexpected(std::move(result).error()));
        } else {
          promise->set_value(std::move(**value));
        }
      });
  return promise->get_future().get();
}

void ChangeRelay::NoteFailure(const Error& error) {
  if (!std::exchange(is_failing_, true)) {
    // Once for a row of failures.
    logger_.Warning("changes are not brought into the stream; trying again each second", {{"reason", error.message}});
  }
  renew_at_ = clock_.Monotonic() + kRelayLookAgain;
}

void ChangeRelay::Tell(std::int64_t last) {
  if (last <= told_) return;
  told_ = last;
  wakes_.Notify();
}

// `renew_at_` is here when it looks again.
void ChangeRelay::Follow() {
  const Result<StreamFeed::Place> place = feed_.ReadPlace();
  if (!place) return NoteFailure(place.error());
  Tell(place->last);
  const Instant now = clock_.Monotonic();
  if (place->lease_left > Duration(0) && place->holder != holder_) {
    is_failing_ = false;
    renew_at_ = now + std::min(wakes_.any() ? poll_ : kRelayLookAgain, place->lease_left);
    return;
  }
  // Only who may write can lead; it is in another center.
  if (!sources_.front()->lane->HoldsLease()) {
    is_failing_ = false;
    renew_at_ = now + (wakes_.any() ? poll_ : kRelayLookAgain);
    return;
  }
  auto term = RunInFirst<std::optional<RelayTerm>>(
      [this](Transaction& transaction) { return TakeRelay(transaction, holder_); });
  if (!term) return NoteFailure(term.error());
  // Somebody was faster.
  if (!*term) {
    renew_at_ = now + poll_;
    return;
  }
  Begin(**std::move(term));
}

void ChangeRelay::Begin(RelayTerm term) {
  is_failing_ = false;
  terms_.Add();
  term_ = term.number;
  for (std::size_t group = 0; group < sources_.size(); ++group) {
    Source& source = *sources_[group];
    const auto copied = term.copied.find(static_cast<std::uint32_t>(group));
    source.is_noted = copied != term.copied.end();
    source.copied = source.is_noted ? std::move(copied->second) : std::vector<std::int64_t>();
    source.rows.clear();
    source.ask_at = source.rest_until = Instant::min();
  }
  renew_at_ = clock_.Monotonic() + kRelayRenewal;
  leads_ = true;
  logger_.Info("this process brings changes into the stream", {{"term", term_}});
}

void ChangeRelay::Resign() {
  leads_ = false;
  for (const auto& source : sources_) source->rows.clear();
  logger_.Info("this process does not bring changes into the stream any more", {{"term", term_}});
}

Instant ChangeRelay::NextDue() const {
  Instant due = renew_at_;
  for (const auto& source : sources_) {
    if (!source->rows.empty()) return Instant::min();
    if (!source->is_asked) due = std::min(due, source->is_nudged ? source->rest_until : source->ask_at);
  }
  return due;
}

void ChangeRelay::Lead() {
  TakeAnswers();
  const Instant now = clock_.Monotonic();
  bool has_rows = false;
  for (const auto& source : sources_) {
    if (!source->rows.empty()) {
      has_rows = true;
    } else if (!source->is_asked && now >= (source->is_nudged ? source->rest_until : source->ask_at)) {
      Ask(*source);
    }
  }
  if ((has_rows || now >= renew_at_) && !Append()) Resign();
}

void ChangeRelay::Ask(Source& source) {
  source.is_asked = true;
  source.asked_in_term = term_;
  // Before the transaction begins: what is committed after it was said again is asked for again.
  source.is_nudged = false;
  auto rows = std::make_shared<std::vector<OutboxRow>>();
  source.lane->Run(
      [rows, copied = source.copied](Transaction& transaction) -> Result<void> {
        MUSTER_ASSIGN(*rows, CollectOutbox(transaction, copied));
        return {};
      },
      [this, &source, rows](Result<void> result) {
        {
          std::lock_guard lock(mutex_);
          source.answer = result ? Collected(std::move(*rows)) : Collected(std::unexpected(std::move(result).error()));
          is_woken_ = true;
        }
        changed_.notify_one();
      });
}

void ChangeRelay::TakeAnswers() {
  for (const auto& source : sources_) {
    std::optional<Collected> answer;
    {
      std::lock_guard lock(mutex_);
      answer = std::exchange(source->answer, std::nullopt);
    }
    if (answer) TakeAnswer(*source, *std::move(answer));
  }
}

void ChangeRelay::TakeAnswer(Source& source, Collected answer) {
  source.is_asked = false;
  if (source.asked_in_term != term_) {
    source.ask_at = Instant::min();
    return;
  }
  const Instant now = clock_.Monotonic();
  if (!answer) {
    // Its group says so in the log. Nothing is known of what became of the deletion.
    source.ask_at = source.rest_until = now + kRelayLookAgain;
    return;
  }
  source.copied.clear();
  source.rows = *std::move(answer);
  source.ask_at = now + poll_;
}

bool ChangeRelay::Append() {
  std::vector<GroupRows> batch;
  std::vector<std::uint32_t> emptied;
  std::size_t count = 0;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const std::size_t group = (first_source_ + i) % sources_.size();
    Source& source = *sources_[group];
    if (source.rows.empty()) {
      if (source.is_noted && source.copied.empty()) emptied.push_back(static_cast<std::uint32_t>(group));
      continue;
    }
    if (count + source.rows.size() > kAppendRowsMax) continue;
    count += source.rows.size();
    batch.push_back({.group = static_cast<std::uint32_t>(group), .rows = source.rows});
  }
  first_source_ = (first_source_ + 1) % sources_.size();
  const auto last = RunInFirst<std::optional<std::int64_t>>(
      [&, term = term_](Transaction& transaction) { return AppendToStream(transaction, term, batch, emptied); });
  if (!last) {
    // Perhaps it was committed: whoever takes the next term sees.
    NoteFailure(last.error());
    return false;
  }
  if (!*last) {
    renew_at_ = clock_.Monotonic();
    return false;
  }
  is_failing_ = false;
  const Instant now = clock_.Monotonic();
  renew_at_ = now + kRelayRenewal;
  for (const std::uint32_t group : emptied) sources_[group]->is_noted = false;
  for (GroupRows& appended : batch) {
    Source& source = *sources_[appended.group];
    source.is_noted = true;
    source.copied.clear();
    for (const OutboxRow& row : appended.rows) source.copied.push_back(row.sequence);
    // There is more where as much was taken as may be.
    source.rest_until = source.rows.size() < kOutboxRowsMax ? now + kRelayRest : now;
    source.ask_at = source.rest_until;
    source.rows.clear();
  }
  if (count == 0) return true;
  appended_.Add(count);
  appends_.Add();
  Tell(**last);
  return true;
}

}  // namespace muster::mariadb
