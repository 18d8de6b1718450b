#include "search/search_index.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/thread_name.h"
#include "search/index_reader.h"
#include "search/indexer.h"
#include "search/search_queue.h"

namespace muster {
namespace {

class SearchIndexImpl final : public SearchIndex {
 public:
  SearchIndexImpl(std::string path, const SearchOptions& options, SearchDependencies dependencies)
      : path_(std::move(path)),
        bounds_{.examined_max = static_cast<std::size_t>(options.examined_max)},
        dependencies_(std::move(dependencies)),
        examined_(dependencies_.metrics->AddCounter("muster_search_rows_examined_total",
                                                    "Rows of the search index that were looked at for pages.")),
        waiting_(static_cast<std::size_t>(options.queue_max), *dependencies_.clock),
        workers_(static_cast<std::size_t>(options.threads)),
        indexer_({.path = path_,
                  .installation = dependencies_.installation,
                  .cache_bytes = options.cache_bytes,
                  .refresh = std::chrono::milliseconds(options.refresh_ms),
                  .feed = dependencies_.feed,
                  .archive = dependencies_.archive,
                  .clock = dependencies_.clock,
                  .logger = dependencies_.logger,
                  .metrics = dependencies_.metrics,
                  .with_readers_away = [this](const std::function<void()>& then) { WithReadersAway(then); }}) {
    indexer_.Start();
    for (Worker& worker : workers_) {
      worker.thread = std::thread([this, &worker] { Work(worker); });
      NameThread(worker.thread, "search");
    }
    late_thread_ = std::thread([this] { TellLate(); });
    NameThread(late_thread_, "search-late");
  }

  ~SearchIndexImpl() override { Stop(); }

  void Stop() override {
    waiting_.Close();
    for (Worker& worker : workers_) {
      if (worker.thread.joinable()) worker.thread.join();
      // Before the writer, which then leaves one file without a log.
      worker.reader.reset();
    }
    if (late_thread_.joinable()) late_thread_.join();
    indexer_.Stop();
  }

  void Search(Query query, Reply reply) override {
    std::optional<WaitingSearch> refused = waiting_.Push({std::move(query), std::move(reply)});
    if (!refused) return;
    refused->reply(Fail({.reason = Reason::kOverloaded,
                         .message = "too many searches wait already; send it again after a moment",
                         .retry_after_ms = kRetryAfterMs}));
  }

 private:
  static constexpr std::int64_t kRetryAfterMs = 1000;

  struct Worker {
    std::mutex mutex;  // held while the reader is used
    std::unique_ptr<IndexReader> reader;
    std::thread thread;
  };

  void Work(Worker& worker) {
    while (std::optional<WaitingSearch> search = waiting_.Pop()) search->reply(Answer(worker, search->query));
  }

  // Those whose deadline passes while they wait hear so then, not when their turn comes.
  void TellLate() {
    while (std::optional<WaitingSearch> search = waiting_.PopLate()) search->reply(LateInQueue());
  }
  static Result<Page> LateInQueue() {
    return Fail(Reason::kDeadlineExceeded,
                "the deadline passed while the search waited for its turn; allow more time, or send fewer at once");
  }

  Result<Page> Answer(Worker& worker, const Query& query) {
    if (query.deadline.Passed(*dependencies_.clock)) return LateInQueue();
    std::lock_guard lock(worker.mutex);
    if (!indexer_.is_serving()) return NotServing();
    if (!worker.reader) {
      auto opened = IndexReader::Open(path_, bounds_, *dependencies_.clock);
      if (!opened) return Mistrust(opened.error());
      worker.reader = std::move(*opened);
    }
    const std::uint64_t before = worker.reader->examined();
    Result<Page> page = worker.reader->Search(query);
    examined_.Add(worker.reader->examined() - before);
    if (page || !IsOfFile(page.error())) return page;
    worker.reader.reset();
    return Mistrust(page.error());
  }

  static bool IsOfFile(const Error& error) {
    return error.reason != Reason::kInvalidArgument && error.reason != Reason::kDeadlineExceeded;
  }

  // A lock passes; with whatever else is wrong with the file a new one is better off.
  Result<Page> Mistrust(const Error& error) {
    dependencies_.logger->Warning("a search failed", {{"error", error.message}});
    if (error.reason == Reason::kInternal) indexer_.Distrust();
    return Fail({.reason = Reason::kOverloaded,
                 .message = "the search index cannot be read now; send the search again after a moment",
                 .retry_after_ms = kRetryAfterMs});
  }

  Result<Page> NotServing() const {
    const std::int64_t built = indexer_.built();
    return Fail({.reason = Reason::kOverloaded,
                 .message = "the search index is being built: " + std::to_string(built) + " of about " +
                            std::to_string(std::max(dependencies_.count_members(), built)) +
                            " members are in it; send the search again later",
                 .retry_after_ms = kRetryAfterMs});
  }

  void WithReadersAway(const std::function<void()>& then) {
    std::vector<std::unique_lock<std::mutex>> locks;
    locks.reserve(workers_.size());
    for (Worker& worker : workers_) {
      locks.emplace_back(worker.mutex);
      worker.reader.reset();
    }
    then();
  }

  const std::string path_;
  const SearchBounds bounds_;
  const SearchDependencies dependencies_;
  Counter& examined_;
  SearchQueue waiting_;
  std::vector<Worker> workers_;
  std::thread late_thread_;
  Indexer indexer_;
};

}  // namespace

void SearchOptions::Declare(OptionRegistry& registry) {
  registry.AddBoolean(
      "search.enabled", &enabled,
      "Whether members can be searched; without it no index is kept, and one that is there is left alone");
  registry.AddInteger("search.threads", &threads, "Threads that answer searches", {.min = 1, .max = 64});
  registry.AddInteger(
      "search.queue_max", &queue_max,
      "Searches that may wait for a thread; beyond it those of whoever has the most waiting answer OVERLOADED",
      {.min = 1, .max = 65'536});
  registry.AddDuration("search.refresh", &refresh_ms,
                       "How long changes gather at least before they are brought into the index together; longer while "
                       "there are many, one second at most",
                       {.min = 0, .max = 60'000});
  registry.AddInteger(
      "search.examined_max", &examined_max,
      "Rows of the index that are looked at for one page at most; it then ends early and goes on behind",
      {.min = 2'000, .max = 10'000'000});
  registry.AddBytes("search.cache_bytes", &cache_bytes, "Page cache of the index's writer",
                    {.min = 1 << 20, .max = std::int64_t{1} << 40});
}

std::unique_ptr<SearchIndex> SearchIndex::Start(const std::string& directory, const SearchOptions& options,
                                                SearchDependencies dependencies) {
  MUSTER_CHECK(dependencies.feed && dependencies.archive && dependencies.clock && dependencies.logger &&
               dependencies.metrics && dependencies.count_members);
  return std::make_unique<SearchIndexImpl>(directory + "/search.db", options, std::move(dependencies));
}

}  // namespace muster
