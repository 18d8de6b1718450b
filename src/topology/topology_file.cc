#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "base/durable_file.h"
#include "topology/topology.h"
#include "topology/topology_codec.h"

namespace muster {
namespace {

constexpr std::size_t kFileBytesMax = std::size_t{16} << 20;
// How long a writer waits for the writer of another process, who holds the lock for a few milliseconds.
constexpr int kLockTriesMax = 2000;
constexpr auto kLockTryInterval = std::chrono::milliseconds(5);

std::string ErrorText(int error) { return std::generic_category().message(error); }

class FileDescriptor {
 public:
  explicit FileDescriptor(int number) : number_(number) {}
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&&) = delete;
  ~FileDescriptor() {
    if (number_ >= 0) ::close(number_);
  }
  explicit operator bool() const { return number_ >= 0; }
  int number() const { return number_; }

 private:
  int number_;
};

// Nothing of the file has changed when this is answered.
std::unexpected<Error> FailWrite(const std::string& path, std::string_view doing, int error) {
  return Fail(Reason::kWritesUnavailable,
              std::string(doing) + " " + path + ": " + ErrorText(error) +
                  "; nothing was changed. Check the directory's owner, mode and free space");
}

// A TopologyStore in a file. Writers of all processes exclude each other by a lock on `<path>.lock` (the file itself is
// replaced by each write, so a lock on it would be a lock on the past); the kernel drops the lock of a process that
// dies. Readers need no lock: a rename shows them the old document or the new one.
class TopologyFile final : public TopologyStore {
 public:
  explicit TopologyFile(std::string path) : path_(std::move(path)) {}

  Result<std::shared_ptr<const TopologyDocument>> Read() override {
    MUSTER_ASSIGN(TopologyDocument document, Load());
    return std::make_shared<const TopologyDocument>(std::move(document));
  }

  Result<std::shared_ptr<const TopologyDocument>> Update(
      const std::function<Result<void>(TopologyDocument&)>& change) override {
    std::lock_guard own_threads(mutex_);
    MUSTER_ASSIGN(FileDescriptor other_processes, Lock());
    MUSTER_ASSIGN(const TopologyDocument current, Load());
    MUSTER_ASSIGN(TopologyDocument document, ChangeTopology(current, path_, change));
    MUSTER_TRY(Replace(RenderTopology(document)));
    return std::make_shared<const TopologyDocument>(std::move(document));
  }

 private:
  Result<FileDescriptor> Lock() {
    const std::string lock_path = path_ + ".lock";
    FileDescriptor file(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return FailWrite(lock_path, "cannot open", errno);
    for (int i = 0; i < kLockTriesMax; ++i) {
      if (::flock(file.number(), LOCK_EX | LOCK_NB) == 0) return file;
      if (errno != EWOULDBLOCK && errno != EINTR) return FailWrite(lock_path, "cannot lock", errno);
      std::this_thread::sleep_for(kLockTryInterval);
    }
    return Fail(Reason::kWritesUnavailable, "another process has held " + lock_path +
                                                " for 10 s; nothing was changed. Find it with `fuser " + lock_path +
                                                "`");
  }

  Result<TopologyDocument> Load() const {
    FileDescriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
      if (errno == ENOENT) return TopologyDocument{};
      return Fail(Reason::kInternal, "cannot open " + path_ + ": " + ErrorText(errno) + "; check its owner and mode");
    }
    struct stat status{};
    if (::fstat(file.number(), &status) != 0) {
      return Fail(Reason::kInternal, "cannot examine " + path_ + ": " + ErrorText(errno));
    }
    if (!S_ISREG(status.st_mode)) return Fail(Reason::kInternal, path_ + " is not a regular file; move it away");
    if ((status.st_mode & 077) != 0) {
      return Fail(Reason::kInternal,
                  path_ +
                      " is open to other users of the machine, who could make themselves callers; look "
                      "through its callers, then run: chmod 600 " +
                      path_);
    }
    if (static_cast<std::size_t>(status.st_size) > kFileBytesMax) {
      return Fail(Reason::kInternal, path_ + " is larger than " + std::to_string(kFileBytesMax) +
                                         " bytes, which no topology is; put back a copy of it");
    }
    MUSTER_ASSIGN(const std::string text, ReadAll(file, static_cast<std::size_t>(status.st_size)));
    return ParseTopology(path_, text);
  }

  Result<std::string> ReadAll(const FileDescriptor& file, std::size_t size) const {
    std::string text(size, '\0');
    std::size_t done = 0;
    while (done < size) {
      const ssize_t count = ::read(file.number(), text.data() + done, size - done);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return Fail(Reason::kInternal, "cannot read " + path_ + ": " + ErrorText(errno));
      if (count == 0) break;  // somebody truncates it by hand; what is there will not parse
      done += static_cast<std::size_t>(count);
    }
    text.resize(done);
    return text;
  }

  Result<void> Replace(std::string_view text) const {
    const auto replaced = ReplaceFile(path_, text, 0600);
    if (replaced) return {};
    const FileFailure& failure = replaced.error();
    if (!failure.is_replaced) return FailWrite(failure.path, failure.doing, failure.error_number);
    return Fail(Reason::kOutcomeUnknown, "cannot make the change of " + path_ +
                                             " durable: " + ErrorText(failure.error_number) +
                                             "; it holds unless the machine goes down now. Check the disk");
  }

  const std::string path_;
  std::mutex mutex_;
};

}  // namespace

Result<std::unique_ptr<TopologyStore>> OpenTopologyFile(const std::string& path) {
  auto store = std::make_unique<TopologyFile>(path);
  MUSTER_TRY(store->Read());
  return store;
}

}  // namespace muster
