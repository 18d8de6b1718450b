#include "base/log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "base/log_line.h"

namespace muster {
namespace {

std::uint64_t CountLines(std::string_view text) { return static_cast<std::uint64_t>(std::ranges::count(text, '\n')); }

int OpenFile(const std::string& file) { return ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640); }

// Threads append finished lines to one buffer; a thread of its own writes what has gathered. Waking it, and writing, a
// line at a time costs more than all else about a line.
class AsyncLogger final : public Logger {
 public:
  AsyncLogger(const LogOptions& options, const Clock& clock, int descriptor)
      : format_(options.format),
        level_(options.level),
        waiting_bytes_max_(options.waiting_bytes_max),
        clock_(clock),
        file_(options.file),
        descriptor_(descriptor),
        thread_([this] { Loop(); }) {}

  AsyncLogger(const AsyncLogger&) = delete;
  ~AsyncLogger() override {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    changed_.notify_one();
    thread_.join();
    if (!file_.empty()) ::close(descriptor_);
  }

  void Reopen() override {
    if (!file_.empty()) reopening_ = true;
  }

  void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) override {
    if (level < level_) return;
    thread_local std::string line;
    line.clear();
    AppendLogLine(line, format_, level, clock_.Now(), event, fields);
    bool wake;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.size() + line.size() > waiting_bytes_max_) MakeRoom();
      const bool was_urgent = IsUrgent();
      wake = waiting_.empty();
      waiting_ += line;
      warned_ = warned_ || level >= LogLevel::kWarning;
      wake = wake || (IsUrgent() && !was_urgent);
    }
    if (wake) changed_.notify_one();
  }

  std::uint64_t dropped() const override { return dropped_.load(std::memory_order_relaxed); }

 private:
  // How long lines gather when nothing presses: what a crash of the process may lose of them.
  static constexpr Duration kGather = std::chrono::milliseconds(20);
  static constexpr int kPollMs = 50;
  // How long the end waits for a pipe that nobody reads.
  static constexpr int kEndPatienceMs = 1000;

  // The older half of what waits gives way.
  void MakeRoom() {
    const std::size_t half = waiting_.find('\n', waiting_.size() / 2);
    const std::size_t size = half == std::string::npos ? waiting_.size() : half + 1;
    dropped_.fetch_add(CountLines(std::string_view(waiting_).substr(0, size)), std::memory_order_relaxed);
    waiting_.erase(0, size);
  }

  bool IsUrgent() const { return warned_ || closing_ || waiting_.size() > waiting_bytes_max_ / 2; }

  void Loop() {
    std::string lines;
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return !waiting_.empty() || closing_; });
      if (waiting_.empty()) return;
      changed_.wait_for(lock, kGather, [this] { return IsUrgent(); });
      lines.clear();
      lines.swap(waiting_);
      warned_ = false;
      lock.unlock();
      Write(lines);
      lock.lock();
    }
  }

  // False: the end has come, and nobody reads the pipe.
  bool WaitUntilWritable() {
    for (;;) {
      pollfd poll{.fd = descriptor_, .events = POLLOUT, .revents = 0};
      const int ready = ::poll(&poll, 1, kPollMs);
      if (ready > 0 || (ready < 0 && errno != EINTR)) return true;  // an error shows in write
      if (closing_ && ++polls_at_end_ * kPollMs > kEndPatienceMs) return false;
    }
  }

  void Write(std::string_view lines) {
    if (reopening_.exchange(false)) ReopenFile();
    struct stat status{};
    const bool is_file = ::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
    while (!lines.empty()) {
      // A pipe that polls writable takes this much without waiting.
      const std::size_t size = is_file ? lines.size() : std::min<std::size_t>(lines.size(), PIPE_BUF);
      const ssize_t written = WaitUntilWritable() ? ::write(descriptor_, lines.data(), size) : 0;
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) {
        dropped_.fetch_add(CountLines(lines), std::memory_order_relaxed);
        return;
      }
      lines.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  // If it cannot be opened, what is open is written on.
  void ReopenFile() {
    const int descriptor = OpenFile(file_);
    if (descriptor < 0) {
      Error("the log file cannot be reopened", {{"file", file_}, {"error", std::generic_category().message(errno)}});
      return;
    }
    ::close(std::exchange(descriptor_, descriptor));
  }

  const LogFormat format_;
  const LogLevel level_;
  const std::size_t waiting_bytes_max_;
  const Clock& clock_;
  const std::string file_;  // empty: the descriptor is not ours
  int descriptor_;
  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<bool> reopening_{false};
  int polls_at_end_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string waiting_;
  bool warned_ = false;  // a warning or an error waits
  std::atomic<bool> closing_{false};
  std::thread thread_;  // the last: it uses all the others
};

class SilentLogger final : public Logger {
 public:
  void Log(LogLevel, std::string_view, std::initializer_list<LogField>) override {}
};

}  // namespace

Result<std::unique_ptr<Logger>> MakeLogger(const LogOptions& options) {
  static const SystemClock kSystemClock;
  int descriptor = STDERR_FILENO;
  if (!options.file.empty()) {
    descriptor = OpenFile(options.file);
    if (descriptor < 0) {
      return Fail(Reason::kInvalidArgument, "cannot open the log file " + options.file + ": " +
                                                std::generic_category().message(errno) +
                                                "; its folder must exist and be writable");
    }
  }
  return std::make_unique<AsyncLogger>(options, options.clock ? *options.clock : kSystemClock, descriptor);
}

void ExposeLogMetrics(const Logger& logger, MetricRegistry& metrics) {
  metrics.AddReadCounter("muster_log_lines_dropped_total", "Log lines lost to a full queue or refused by the file.",
                         [&logger] { return static_cast<double>(logger.dropped()); });
}

Logger& NullLogger() {
  static SilentLogger logger;
  return logger;
}

}  // namespace muster
