#include "domain/keyring.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "base/durable_file.h"
#include "base/encoding.h"

namespace muster {

namespace {

constexpr std::size_t kFileBytesMax = std::size_t{1} << 20;  // 12,000 keys
constexpr int kLockAttemptsMax = 100;

class FileDescriptor {
 public:
  explicit FileDescriptor(int number) : number_(number) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const { return number_; }
  int Release() { return std::exchange(number_, -1); }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_;
};

// A text that holds keys: wiped when it goes.
struct SecretText {
  std::string text;
  SecretText() = default;
  explicit SecretText(std::string content) : text(std::move(content)) {}
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;
  ~SecretText() { OPENSSL_cleanse(text.data(), text.size()); }
};

std::unexpected<Error> FailKeyring(const std::string& path, const std::string& what) {
  return Fail(Reason::kInternal, "keyring " + path + ": " + what);
}

std::unexpected<Error> FailSystem(const std::string& path, const std::string& doing, int error) {
  return FailKeyring(path, "cannot " + doing + ": " + std::system_category().message(error));
}

std::string_view TakeWord(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

std::optional<SecretKey> ParseKey(std::string_view hex) {
  std::optional<std::vector<std::uint8_t>> bytes = FromHex(hex);
  if (!bytes || bytes->size() != sizeof(SecretKey)) return std::nullopt;
  SecretKey key;
  std::copy(bytes->begin(), bytes->end(), key.begin());
  OPENSSL_cleanse(bytes->data(), bytes->size());
  return key;
}

std::optional<std::uint32_t> ParseKeyId(std::string_view text) {
  std::uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id == 0 || text.front() == '0') return std::nullopt;
  return id;
}

void AppendKey(std::string& out, const SecretKey& key) {
  SecretText hex(ToHex(key));
  out.append(hex.text).push_back('\n');
}

Result<void> ReadFile(const std::string& path, std::string& text) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    if (errno == ENOENT) {
      return FailKeyring(path,
                         "it is missing; without it the data cannot be read: restore it from the backup of this data");
    }
    return FailSystem(path, "open it", errno);
  }
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0) return FailSystem(path, "look at it", errno);
  if (!S_ISREG(status.st_mode)) return FailKeyring(path, "it is not a file");
  if ((status.st_mode & 077) != 0)
    return FailKeyring(path, "others may read it: run `chmod 600` on it, and rotate its keys if they did");
  if (static_cast<std::uint64_t>(status.st_size) > kFileBytesMax)
    return FailKeyring(path, "it is too large to be a keyring");
  text.resize(static_cast<std::size_t>(status.st_size));
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = ::read(file.get(), text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailSystem(path, "read it", errno);
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  text.resize(size);
  return {};
}

// The file that is about to become the keyring, beside it: empty, mode 0600 and locked. Its lock makes the processes
// that change a keyring take turns; it goes with the file.
Result<DurableFile> OpenNewFile(const std::string& keyring_path) {
  const std::string path = keyring_path + ".new";
  for (int attempt = 0; attempt < kLockAttemptsMax; ++attempt) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return FailSystem(path, "create it", errno);
    FileDescriptor closing(file);
    if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
      return FailKeyring(keyring_path, "another process is changing it: try again when that has finished");
    }
    // Whoever held the lock before may have renamed or removed the file in the meantime.
    struct stat mine = {};
    struct stat named = {};
    if (::fstat(file, &mine) != 0) return FailSystem(path, "look at it", errno);
    if (::stat(path.c_str(), &named) != 0 || named.st_ino != mine.st_ino || named.st_dev != mine.st_dev) continue;
    if (::fchmod(file, 0600) != 0 || ::ftruncate(file, 0) != 0) return FailSystem(path, "empty it", errno);
    return DurableFile(closing.Release(), path);
  }
  return FailKeyring(keyring_path, "it is being changed all the time: try again");
}

// Replaces the keyring with `text`: after a crash at any moment there is the whole old file or the whole new one.
Result<void> Publish(DurableFile& file, const std::string& keyring_path, std::string text) {
  const SecretText secret(std::move(text));
  FileOutcome<void> done = file.Write(secret.text);
  if (done) done = file.Publish(keyring_path);
  if (!done) return FailKeyring(keyring_path, done.error().Describe());
  return {};
}

}  // namespace

Keyring::~Keyring() {
  OPENSSL_cleanse(hash_key_.data(), hash_key_.size());
  for (auto& [id, key] : seal_keys_) OPENSSL_cleanse(key.data(), key.size());
}

Result<Keyring> Keyring::Parse(const std::string& path, std::string_view text) {
  Keyring keyring;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::string place = "line " + std::to_string(number);
    if (end == std::string_view::npos) return FailKeyring(path, place + " is cut off: restore the file from a backup");
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);

    const std::string_view word = TakeWord(line);
    std::optional<std::uint32_t> id;
    if (word == "seal") id = ParseKeyId(TakeWord(line));
    const std::optional<SecretKey> key = ParseKey(line);
    const bool rising = keyring.seal_keys_.empty() || (id && *id > keyring.seal_keys_.rbegin()->first);
    if (key && word == "hash" && number == 1) {
      keyring.hash_key_ = *key;
    } else if (key && id && rising && number > 1) {
      keyring.seal_keys_.emplace(*id, *key);
    } else {
      return FailKeyring(path, place + " is malformed: restore the file from a backup");
    }
  }
  if (keyring.seal_keys_.empty()) return FailKeyring(path, "it holds no sealing key: restore the file from a backup");
  return keyring;
}

std::string Keyring::Format() const {
  std::string text;
  // So that no reallocation leaves keys behind in freed memory.
  text.reserve((seal_keys_.size() + 1) * (2 * sizeof(SecretKey) + 24));
  text.append("hash ");
  AppendKey(text, hash_key_);
  for (const auto& [id, key] : seal_keys_) {
    text.append("seal ").append(std::to_string(id)).push_back(' ');
    AppendKey(text, key);
  }
  return text;
}

Result<Keyring> Keyring::Load(const std::string& path) {
  SecretText file;
  MUSTER_TRY(ReadFile(path, file.text));
  return Parse(path, file.text);
}

Keyring Keyring::Generate(Random& random) {
  Keyring keyring;
  random.Fill(keyring.hash_key_);
  random.Fill(keyring.seal_keys_[1]);
  return keyring;
}

Result<Keyring> Keyring::Create(const std::string& path, Random& random) {
  MUSTER_ASSIGN(DurableFile file, OpenNewFile(path));
  std::error_code error;
  if (std::filesystem::exists(std::filesystem::symlink_status(path, error))) {
    return FailKeyring(path, "it exists already: remove it only if no data was written with it");
  }
  Keyring keyring = Generate(random);
  MUSTER_TRY(Publish(file, path, keyring.Format()));
  return keyring;
}

Result<Keyring> Keyring::Rotate(const std::string& path, Random& random) {
  MUSTER_ASSIGN(DurableFile file, OpenNewFile(path));
  // Read under the lock: else two rotations could each add a key to the same keyring, and one would be lost.
  MUSTER_ASSIGN(Keyring keyring, Load(path));
  random.Fill(keyring.seal_keys_[keyring.active_seal_id() + 1]);
  MUSTER_TRY(Publish(file, path, keyring.Format()));
  return keyring;
}

}  // namespace muster
