#include "app/transfer/importer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "app/files.h"
#include "app/transfer/import_check.h"
#include "app/transfer/import_state.h"
#include "app/transfer/reject_file.h"
#include "base/bounded_queue.h"
#include "base/check.h"

namespace muster {
namespace {

// The input, open, at its beginning.
class Input {
 public:
  static Outcome<std::unique_ptr<Input>> Open(const std::string& name) {
    const bool is_standard = name == "-";
    const int descriptor = is_standard ? STDIN_FILENO : open(name.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return Fails(ExitCode::kFailure, "cannot read " + name + ": " + SystemMessage(errno));
    auto input = std::unique_ptr<Input>(new Input(is_standard ? "standard input" : name, descriptor, is_standard));
    struct stat status{};
    if (fstat(descriptor, &status) != 0)
      return Fails(ExitCode::kFailure, "cannot read " + name + ": " + SystemMessage(errno));
    if (S_ISDIR(status.st_mode)) return Fails(ExitCode::kFailure, name + " is a directory");
    input->size_ = S_ISREG(status.st_mode) ? static_cast<std::uint64_t>(status.st_size) : 0;
    input->can_resume_ = !is_standard && S_ISREG(status.st_mode);
    if (input->can_resume_ && flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      return Fails(ExitCode::kFailure, "another import of " + name + " is running");
    }
    return input;
  }
  ~Input() {
    if (!is_standard_) close(descriptor_);
  }

  const std::string& name() const { return name_; }
  int descriptor() const { return descriptor_; }
  std::uint64_t size() const { return size_; }  // zero: not known
  bool can_resume() const { return can_resume_; }

 private:
  Input(std::string name, int descriptor, bool is_standard)
      : name_(std::move(name)), descriptor_(descriptor), is_standard_(is_standard) {}
  const std::string name_;
  const int descriptor_;
  const bool is_standard_;
  std::uint64_t size_ = 0;
  bool can_resume_ = false;
};

// A batch with its place in the order of the input.
struct Job {
  std::uint64_t sequence = 0;
  LineBatch batch;
  std::int64_t range_start = 0;
};

// One run. The calling thread reads; `connections` threads send; whoever completes the prefix of answered batches
// writes the rejects and the state. Life: Prepare, Run.
class ImportRun {
 public:
  ImportRun(const ImportOptions& options, const ImportServiceFactory& services, const Clock& clock,
            const ImportEvents& events)
      : options_(options),
        services_(services),
        clock_(clock),
        events_(events),
        service_(services()),
        jobs_(2 * static_cast<std::size_t>(options.connections)) {}

  Outcome<ImportSummary> Run() {
    MUSTER_ASSIGN(input_, Input::Open(options_.input));
    MUSTER_TRY(CheckRejectsFile());
    MUSTER_TRY(Prepare());
    std::vector<std::thread> senders;
    senders.reserve(static_cast<std::size_t>(options_.connections));
    for (int i = 0; i < options_.connections; ++i) senders.emplace_back([this] { SendJobs(); });
    Outcome<void> read = ReadJobs();
    jobs_.Close();
    if (!read) interruption_.Set();
    for (std::thread& sender : senders) sender.join();
    return Conclude(std::move(read));
  }

 private:
  // Rejects must not be written over what is read, by whatever name.
  Outcome<void> CheckRejectsFile() const {
    struct stat input{};
    struct stat rejects{};
    const bool is_input = stat(options_.rejects_file.c_str(), &rejects) == 0 && S_ISREG(rejects.st_mode) &&
                          fstat(input_->descriptor(), &input) == 0 && input.st_dev == rejects.st_dev &&
                          input.st_ino == rejects.st_ino;
    if (is_input || options_.rejects_file == state_path()) {
      return Fails(ExitCode::kUsage, "--rejects " + options_.rejects_file + " is " +
                                         (is_input ? "the input itself" : "where the import's state is kept") +
                                         "; name another file");
    }
    return {};
  }

  // What an earlier import rejected may be in nobody's hands yet.
  Outcome<void> CheckRejectsAreNew() const {
    struct stat rejects{};
    if (stat(options_.rejects_file.c_str(), &rejects) != 0 || !S_ISREG(rejects.st_mode) || rejects.st_size == 0)
      return {};
    return Fails(ExitCode::kUsage, "--rejects " + options_.rejects_file +
                                       " is not empty, and may hold what an earlier import rejected; move it away, or "
                                       "name another file");
  }

  // Takes up an earlier run's state, or begins a new one.
  Outcome<void> Prepare() {
    state_.rejects_file = options_.rejects_file;
    state_.lines_a_range = options_.limits.lines_a_range;
    MUSTER_ASSIGN(state_.installation, service_->Installation());
    if (input_->can_resume()) {
      MUSTER_ASSIGN(state_.input, FingerprintOf(input_->descriptor(), input_->name()));
      MUSTER_ASSIGN(auto earlier, LoadImportState(state_path()));
      if (earlier) MUSTER_TRY(TakeUp(std::move(*earlier)));
    }
    if (!has_sent_) MUSTER_TRY(CheckRejectsAreNew());
    MUSTER_ASSIGN(RejectFile rejects, RejectFile::Open(state_.rejects_file, state_.rejects_bytes));
    rejects_.emplace(std::move(rejects));
    summary_.resumed_lines = state_.lines;
    lines_a_range_ = state_.lines_a_range;
    next_save_ = clock_.Monotonic() + options_.save_every;
    return {};
  }

  Outcome<void> TakeUp(ImportState earlier) {
    const std::string start_over = "; remove " + state_path() + " to start from the beginning";
    if (earlier.input != state_.input) {
      return Fails(ExitCode::kFailure,
                   input_->name() + " has changed since its import was interrupted; put the old content back to go on" +
                       start_over + " (members that are in already will be rejected)");
    }
    if (earlier.installation != state_.installation) {
      return Fails(ExitCode::kFailure, "the interrupted import of " + input_->name() +
                                           " went to another installation; name its server to go on" + start_over);
    }
    if (earlier.rejects_file != options_.rejects_file) {
      return Fails(ExitCode::kUsage, "the interrupted import of " + input_->name() + " was run with --rejects " +
                                         (earlier.rejects_file.empty() ? "left out" : earlier.rejects_file) +
                                         "; run it the same way to go on" + start_over);
    }
    if (lseek(input_->descriptor(), static_cast<off_t>(earlier.offset), SEEK_SET) < 0) {
      return Fails(ExitCode::kFailure, "cannot read " + input_->name() + ": " + SystemMessage(errno));
    }
    state_ = std::move(earlier);
    has_sent_ = true;
    MUSTER_TRY(CheckForLoss(start_over));
    events_.resumed(state_.lines);
    return {};
  }

  // A restored backup is the same installation, and may be from before what was answered.
  Outcome<void> CheckForLoss(const std::string& start_over) {
    BatchSender sender(*service_, options_.retry, interruption_);
    MUSTER_ASSIGN(const auto loss, FindImportLoss(state_, input_->descriptor(), input_->name(), sender));
    if (!loss) return {};
    const std::string what = loss->what + ": it was restored from a backup from before";
    if (loss->ranges_known == 0) {
      return Fails(ExitCode::kFailure, what + " the import began. Put the newer data back to go on" + start_over);
    }
    state_.Rewind();
    state_.range_starts.resize(loss->ranges_known);
    MUSTER_TRY(SaveImportState(state_path(), state_));
    return Fails(ExitCode::kFailure, what +
                                         ". Run the same command again to send all lines again, under the same "
                                         "numbers: those that are in are found and not written twice");
  }

  Outcome<void> ReadJobs() {
    BatchLimits limits = options_.limits;
    limits.lines_a_range = lines_a_range_;
    BatchReader reader(input_->descriptor(), input_->name(), {.offset = state_.offset, .lines = state_.lines}, limits);
    for (std::uint64_t sequence = 0;; ++sequence) {
      MUSTER_ASSIGN(auto batch, reader.Next());
      if (!batch) return {};
      MUSTER_ASSIGN(const std::int64_t range_start, RangeOf(*batch));
      Job job{.sequence = sequence, .batch = std::move(*batch), .range_start = range_start};
      if (!Hand(std::move(job))) return {};
    }
  }

  // Waits for room; false when a sender has given up.
  bool Hand(Job job) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [this, &job] {
      return failure_ || (under_way_ < 2 * static_cast<std::size_t>(options_.connections) &&
                          job.sequence < prefix_ + kImportAheadMax);
    });
    if (failure_) return false;
    ++under_way_;
    lock.unlock();
    MUSTER_CHECK(jobs_.TryPush(std::move(job)));
    return true;
  }

  // Reserves the numbers of the batch's range when it is the first of it. They are in the state before any line is
  // sent.
  Outcome<std::int64_t> RangeOf(const LineBatch& batch) {
    const std::size_t index = (batch.first_line - 1) / lines_a_range_;
    {
      std::lock_guard lock(mutex_);
      if (index < state_.range_starts.size()) return state_.range_starts[index];
    }
    MUSTER_ASSIGN(const std::int64_t start,
                  BatchSender(*service_, options_.retry, interruption_).Reserve(lines_a_range_));
    std::lock_guard lock(mutex_);
    state_.range_starts.push_back(start);
    MUSTER_TRY(SaveLocked());
    return start;
  }

  void SendJobs() {
    const std::unique_ptr<ImportService> service = services_();
    BatchSender sender(*service, options_.retry, interruption_);
    while (true) {
      std::vector<Job> jobs = jobs_.PopSome(1);
      if (jobs.empty()) return;
      Job& job = jobs.front();
      const std::uint64_t before = (job.batch.first_line - 1) / lines_a_range_ * lines_a_range_;
      Outcome<BatchAnswer> answer = Fails(ExitCode::kUnavailable, "the import was given up");
      if (!interruption_.IsSet()) {
        has_sent_ = true;
        answer = sender.Send(job.batch, job.range_start, before);
      }
      std::lock_guard lock(mutex_);
      --under_way_;
      Outcome<void> taken = answer ? Take(std::move(job), std::move(*answer)) : std::unexpected(answer.error());
      if (!taken && !failure_) {
        failure_ = taken.error();
        interruption_.Set();
      }
      room_.notify_one();
    }
  }

  // Keeps the answer until all before it are there; then the prefix grows.
  Outcome<void> Take(Job job, BatchAnswer answer) {
    std::vector<std::uint64_t> rejected;
    rejected.reserve(answer.rejects.size());
    for (const Reject& reject : answer.rejects) rejected.push_back(reject.line);
    std::ranges::sort(rejected);
    answered_.emplace(job.sequence, Answered{.batch = {.offset = job.batch.end_offset - job.batch.text.size(),
                                                       .bytes = job.batch.text.size(),
                                                       .first_line = job.batch.first_line,
                                                       .lines = job.batch.lines,
                                                       .imported = answer.imported,
                                                       .rejected = std::move(rejected)},
                                             .end_offset = job.batch.end_offset,
                                             .answer = std::move(answer)});
    for (auto next = answered_.begin(); next != answered_.end() && next->first == prefix_; next = answered_.begin()) {
      const Answered& done = next->second;
      for (const Reject& reject : done.answer.rejects) {
        MUSTER_TRY(rejects_->Append(reject));
        events_.rejected(reject);
      }
      if (done.batch.imported > 0) state_.Remember(done.batch);
      state_.lines += done.batch.lines;
      state_.offset = done.end_offset;
      state_.imported += done.answer.imported;
      state_.rejected += done.answer.rejects.size();
      state_.rejects_bytes = rejects_->size();
      answered_.erase(next);
      ++prefix_;
    }
    events_.progressed(state_.lines, input_->size() == 0
                                         ? -1
                                         : static_cast<double>(state_.offset) / static_cast<double>(input_->size()));
    if (clock_.Monotonic() >= next_save_) MUSTER_TRY(SaveLocked());
    return {};
  }

  Outcome<void> SaveLocked() {
    next_save_ = clock_.Monotonic() + options_.save_every;
    if (!input_->can_resume()) return {};
    MUSTER_TRY(rejects_->Sync());
    Outcome<void> saved = SaveImportState(state_path(), state_);
    if (!saved && !has_sent_) {
      saved.error().message +=
          "\nHow far an import is stands beside its file. To import without, from the beginning to "
          "the end: muster import - < " +
          options_.input;
    }
    return saved;
  }

  Outcome<ImportSummary> Conclude(Outcome<void> read) {
    std::lock_guard lock(mutex_);
    if (!failure_ && !read) failure_ = read.error();
    if (failure_) {
      Failure failure = *failure_;
      if (!has_sent_) {
        if (FileExists(state_path())) MUSTER_TRY(RemoveFileDurably(state_path()));
        return std::unexpected(std::move(failure));
      }
      MUSTER_TRY(SaveLocked());
      failure.message += "\n" + std::to_string(state_.lines) +
                         (input_->can_resume() ? " lines are done; run the same command again to go on."
                                               : " lines of standard input are done; it cannot be resumed.");
      return std::unexpected(std::move(failure));
    }
    MUSTER_TRY(rejects_->Sync());
    if (input_->can_resume()) MUSTER_TRY(RemoveFileDurably(state_path()));
    summary_.lines = state_.lines;
    summary_.imported = state_.imported;
    summary_.rejected = state_.rejected;
    return summary_;
  }

  std::string state_path() const { return ImportStatePath(options_.input); }

  struct Answered {
    ImportedBatch batch;
    std::uint64_t end_offset = 0;
    BatchAnswer answer;
  };

  const ImportOptions& options_;
  const ImportServiceFactory& services_;
  const Clock& clock_;
  const ImportEvents& events_;
  const std::unique_ptr<ImportService> service_;  // of the reading thread
  std::unique_ptr<Input> input_;
  std::uint64_t lines_a_range_ = 1;  // fixed before any sender starts
  std::optional<RejectFile> rejects_;
  std::atomic<bool> has_sent_ = false;  // lines under the numbers of state_, in this run or an earlier one
  BoundedQueue<Job> jobs_;
  Interruption interruption_;
  ImportSummary summary_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable room_;
  std::size_t under_way_ = 0;
  ImportState state_;
  std::map<std::uint64_t, Answered> answered_;  // behind the prefix
  std::uint64_t prefix_ = 0;
  std::optional<Failure> failure_;
  Instant next_save_{};
};

}  // namespace

Outcome<ImportSummary> RunImport(const ImportOptions& options, const ImportServiceFactory& services, const Clock& clock,
                                 const ImportEvents& events) {
  return ImportRun(options, services, clock, events).Run();
}

}  // namespace muster
