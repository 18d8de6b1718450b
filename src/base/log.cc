#include "base/log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "base/log_line.h"
#include "base/thread_name.h"

namespace muster {
namespace {

std::uint64_t CountLines(std::string_view text) { return static_cast<std::uint64_t>(std::ranges::count(text, '\n')); }

// Without waiting, then or in a write, for the reader of a pipe or a terminal.
int OpenFile(const std::string& file) {
  return ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

// Standard error, not to wait for its reader: opened again, as the flag of what is open is shared with other processes.
// A file is not opened again, whose place is shared as well, and never waits; and a socket cannot be.
int OpenStandardError() {
  struct stat status{};
  if (::fstat(STDERR_FILENO, &status) != 0 || S_ISREG(status.st_mode)) return -1;
  return ::open("/proc/self/fd/2", O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

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
        thread_([this] { Loop(); }) {
    NameThread(thread_, "log");
  }

  AsyncLogger(const AsyncLogger&) = delete;
  ~AsyncLogger() override {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    changed_.notify_one();
    thread_.join();
    if (descriptor_ != STDERR_FILENO) ::close(descriptor_);
  }

  void Reopen() override {
    if (file_.empty()) return;
    {
      const std::lock_guard lock(mutex_);
      reopening_ = true;
    }
    changed_.notify_one();
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
  // How long the end waits for a pipe or a terminal that nobody reads.
  static constexpr int kEndPatienceMs = 1000;

  // The older half of what waits gives way.
  void MakeRoom() {
    const std::size_t half = waiting_.find('\n', waiting_.size() / 2);
    const std::size_t size = half == std::string::npos ? waiting_.size() : half + 1;
    dropped_.fetch_add(CountLines(std::string_view(waiting_).substr(0, size)), std::memory_order_relaxed);
    waiting_.erase(0, size);
  }

  bool IsUrgent() const { return warned_ || reopening_ || closing_ || waiting_.size() > waiting_bytes_max_ / 2; }

  void Loop() {
    std::string lines;
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return !waiting_.empty() || reopening_ || closing_; });
      if (waiting_.empty() && !reopening_) return;
      changed_.wait_for(lock, kGather, [this] { return IsUrgent(); });
      lines.clear();
      lines.swap(waiting_);
      warned_ = false;
      const bool reopening = std::exchange(reopening_, false);
      lock.unlock();
      if (reopening) ReopenFile();
      Write(lines);
      lock.lock();
    }
  }

  // Sleeps a little, or until the descriptor has room. False: the end has come, and nobody reads.
  bool WaitForRoom(short events) {
    if (closing_ && ++polls_at_end_ * kPollMs > kEndPatienceMs) return false;
    pollfd poll{.fd = descriptor_, .events = events, .revents = 0};
    ::poll(&poll, 1, kPollMs);
    return true;
  }

  void Write(std::string& lines) {
    if (is_torn_) lines.insert(0, 1, '\n');
    WriteOut(lines);
  }

  void WriteOut(std::string_view lines) {
    const std::size_t size = lines.size();
    bool has_waited = false;
    while (!lines.empty()) {
      const ssize_t written = ::write(descriptor_, lines.data(), lines.size());
      if (written < 0 && errno == EINTR) continue;
      // A terminal may say that it has room and take nothing.
      if (written < 0 && errno == EAGAIN && WaitForRoom(has_waited ? 0 : POLLOUT)) {
        has_waited = !has_waited;
        continue;
      }
      if (written <= 0) {
        const bool is_untouched = lines.size() == size;
        dropped_.fetch_add(CountLines(lines) - (is_untouched && is_torn_ ? 1 : 0), std::memory_order_relaxed);
        if (!is_untouched) is_torn_ = lines.data()[-1] != '\n';
        return;
      }
      has_waited = false;
      lines.remove_prefix(static_cast<std::size_t>(written));
    }
    if (size > 0) is_torn_ = false;
  }

  // If it cannot be opened, what is open is written on.
  void ReopenFile() {
    const int descriptor = OpenFile(file_);
    if (descriptor < 0) {
      Error("the log file cannot be reopened", {{"file", file_}, {"error", std::generic_category().message(errno)}});
      return;
    }
    ::close(std::exchange(descriptor_, descriptor));
    is_torn_ = false;
  }

  const LogFormat format_;
  const LogLevel level_;
  const std::size_t waiting_bytes_max_;
  const Clock& clock_;
  const std::string file_;  // empty: standard error
  int descriptor_;
  std::atomic<std::uint64_t> dropped_{0};
  int polls_at_end_ = 0;
  bool is_torn_ = false;  // the last line was not written to its end
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string waiting_;
  bool warned_ = false;  // a warning or an error waits
  bool reopening_ = false;
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
  int descriptor = options.file.empty() ? OpenStandardError() : OpenFile(options.file);
  if (descriptor < 0 && options.file.empty()) descriptor = STDERR_FILENO;
  if (descriptor < 0) {
    return Fail(Reason::kInvalidArgument, "cannot open the log file " + options.file + ": " +
                                              std::generic_category().message(errno) +
                                              "; its folder must exist and be writable, and a pipe have a reader");
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
