#include "base/log.h"

#include <fcntl.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <exception>
#include <system_error>
#include <utility>

#include "base/log_line.h"

namespace muster {
namespace {

// Writes finished lines to a file descriptor, one write(2) a line: what was logged before a crash is in the file. Only
// spdlog's thread calls it.
class DescriptorSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  DescriptorSink(int descriptor, bool owned) : descriptor_(descriptor), owned_(owned) {}
  ~DescriptorSink() override {
    if (owned_) ::close(descriptor_);
  }
  DescriptorSink(const DescriptorSink&) = delete;

  std::uint64_t failed() const { return failed_.load(std::memory_order_relaxed); }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    std::string_view rest(message.payload.data(), message.payload.size());
    while (!rest.empty()) {
      const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) {
        failed_.fetch_add(1, std::memory_order_relaxed);
        return;
      }
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  void flush_() override {}

 private:
  const int descriptor_;
  const bool owned_;
  std::atomic<std::uint64_t> failed_{0};
};

class AsyncLogger final : public Logger {
 public:
  AsyncLogger(const LogOptions& options, const Clock& clock, std::shared_ptr<DescriptorSink> sink)
      : format_(options.format),
        level_(options.level),
        clock_(clock),
        sink_(std::move(sink)),
        pool_(std::make_shared<spdlog::details::thread_pool>(options.queue_lines_max, 1)),
        queue_(std::make_shared<spdlog::async_logger>("muster", sink_, pool_,
                                                      spdlog::async_overflow_policy::overrun_oldest)) {
    queue_->set_level(spdlog::level::trace);
  }

  // Writes what is queued and joins the thread; only then does the queue go, whose lines refer to it.
  ~AsyncLogger() override { pool_.reset(); }

  void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) override {
    if (level < level_) return;
    // Lines are built by the thread that logs, which owns what the fields refer to.
    thread_local std::string line;
    line.clear();
    AppendLogLine(line, format_, level, clock_.Now(), event, fields);
    queue_->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
  }

  std::uint64_t dropped() const override { return pool_->overrun_counter() + sink_->failed(); }

 private:
  const LogFormat format_;
  const LogLevel level_;
  const Clock& clock_;
  const std::shared_ptr<DescriptorSink> sink_;
  std::shared_ptr<spdlog::details::thread_pool> pool_;
  const std::shared_ptr<spdlog::async_logger> queue_;
};

class SilentLogger final : public Logger {
 public:
  void Log(LogLevel, std::string_view, std::initializer_list<LogField>) override {}
};

}  // namespace

Result<std::unique_ptr<Logger>> MakeLogger(const LogOptions& options) {
  static const SystemClock kSystemClock;
  if (options.queue_lines_max == 0) {
    return Fail(Reason::kInvalidArgument, "the log's queue must hold at least one line");
  }
  int descriptor = STDERR_FILENO;
  if (!options.file.empty()) {
    descriptor = ::open(options.file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (descriptor < 0) {
      return Fail(Reason::kInvalidArgument, "cannot open the log file " + options.file + ": " +
                                                std::generic_category().message(errno) +
                                                "; its folder must exist and be writable");
    }
  }
  auto sink = std::make_shared<DescriptorSink>(descriptor, !options.file.empty());
  try {
    return std::make_unique<AsyncLogger>(options, options.clock ? *options.clock : kSystemClock, std::move(sink));
  } catch (const std::exception& error) {
    return Fail(Reason::kInternal, std::string("cannot start the log's thread: ") + error.what());
  }
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
