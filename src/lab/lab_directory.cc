#include "lab/lab_directory.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "base/durable_file.h"
#include "base/encoding.h"
#include "domain/json_writer.h"
#include "domain/keyring.h"
#include "topology/topology_json.h"

namespace muster::lab {
namespace {

constexpr std::int64_t kLabFormat = 1;
constexpr mode_t kPrivateFile = 0600, kPrivateDirectory = 0700;
constexpr std::size_t kLabFileBytesMax = 1 << 20;
// Below those that the kernel gives to whoever connects, so that a component finds its own free again.
constexpr std::uint16_t kPortsFirst = 10'000, kPortsEnd = 32'000;
constexpr int kPortTriesMax = 200;
constexpr std::size_t kPasswordBytes = 24;
constexpr std::array<const char*, 3> kPasswords = {"store-password", "control-password", "replica-password"};

std::unexpected<Error> SystemRefuses(const std::string& doing, const std::string& path, int error) {
  return Fail(Reason::kInternal, "cannot " + doing + " " + path + ": " + std::generic_category().message(error));
}

std::string LayoutFileOf(const std::string& directory) { return directory + "/lab.json"; }

// Ports that follow each other and are all free.
Result<std::uint16_t> FindPorts(std::uint16_t count, Random& random) {
  for (int i = 0; i < kPortTriesMax; ++i) {
    const auto first = static_cast<std::uint16_t>(kPortsFirst + random.Below(kPortsEnd - kPortsFirst - count));
    bool are_free = true;
    for (std::uint16_t port = first; port < first + count && are_free; ++port) are_free = IsFreePort(port);
    if (are_free) return first;
  }
  return Fail(Reason::kInternal, "there are no " + std::to_string(count) + " free ports in a row between " +
                                     std::to_string(kPortsFirst) + " and " + std::to_string(kPortsEnd));
}

Result<void> WriteLayout(const Layout& layout) {
  std::string text;
  JsonWriter json(text);
  json.BeginObject();
  json.Key("format").Number(kLabFormat);
  json.Key("groups").Number(layout.groups());
  json.Key("firstPort").Number(layout.first_port());
  json.EndObject();
  return WriteLabFile(LayoutFileOf(layout.directory()), text + "\n");
}

Result<bool> IsEmptyDirectory(const std::string& directory) {
  std::error_code error;
  const bool is_empty = std::filesystem::is_empty(directory, error);
  if (error) return SystemRefuses("read", directory, error.value());
  return is_empty;
}

}  // namespace

bool IsFreePort(std::uint16_t port) {
  const Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;  // what a server that ended has left behind is no server
  ::setsockopt(socket.number(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return ::bind(socket.number(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

Result<void> MakeDirectory(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return {};
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  if (!parent.empty() && parent != path) MUSTER_TRY(MakeDirectory(parent.string()));
  if (::mkdir(path.c_str(), kPrivateDirectory) != 0 && errno != EEXIST) {
    return SystemRefuses("make the directory", path, errno);
  }
  return {};
}

Result<void> WriteLabFile(const std::string& path, const std::string& content) {
  if (const auto written = ReplaceFile(path, content, kPrivateFile); !written) {
    return Fail(Reason::kInternal, written.error().Describe());
  }
  return {};
}

Result<std::string> ReadLabFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return SystemRefuses("read", path, errno);
  std::string text(kLabFileBytesMax, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

Result<std::string> ReadLabTail(const std::string& path, std::size_t bytes_max) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return SystemRefuses("read", path, errno);
  const auto size = static_cast<std::size_t>(file.tellg());
  const std::size_t count = std::min(size, bytes_max);
  std::string text(count, '\0');
  file.seekg(static_cast<std::streamoff>(size - count));
  file.read(text.data(), static_cast<std::streamsize>(count));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

Result<std::optional<Layout>> ReadLayout(const std::string& directory) {
  const std::string path = LayoutFileOf(directory);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  MUSTER_ASSIGN(const std::string text, ReadLabFile(path));
  std::int64_t format = 0, groups = 0, first_port = 0;
  StrictJson reading(path, text);
  MUSTER_TRY(reading.Read({"format", "groups", "firstPort"}, [&](std::string_view name, StrictJson::Value& value) {
    if (name == "format") return reading.ReadNumber(value, name, kLabFormat, kLabFormat, format);
    if (name == "groups") return reading.ReadNumber(value, name, 1, kLabGroupsMax, groups);
    return reading.ReadNumber(value, name, 1, kPortsEnd, first_port);
  }));
  return Layout(directory, static_cast<int>(groups), static_cast<std::uint16_t>(first_port));
}

Result<Layout> EnsureLayout(const std::string& directory, int groups, Random& random) {
  MUSTER_TRY(MakeDirectory(directory));
  MUSTER_ASSIGN(std::optional<Layout> known, ReadLayout(directory));
  if (known) {
    if (groups == 0 || groups == known->groups()) return *known;
    return Fail(Reason::kInvalidArgument,
                directory + " was made with " + std::to_string(known->groups()) +
                    " group(s), which stays: leave --groups out, name another --dir, or begin anew with `muster lab "
                    "down --purge`");
  }
  MUSTER_ASSIGN(const bool is_empty, IsEmptyDirectory(directory));
  if (!is_empty) {
    return Fail(Reason::kInvalidArgument,
                directory + " holds something that is no lab: name a directory that is empty or not there with --dir");
  }
  const int wanted = groups == 0 ? 1 : groups;
  MUSTER_ASSIGN(const std::uint16_t first_port, FindPorts(Layout::PortsOf(wanted), random));
  Layout layout(directory, wanted, first_port);
  MUSTER_TRY(WriteLayout(layout));
  return layout;
}

Result<void> EnsureSecrets(const Layout& layout, Random& random) {
  MUSTER_TRY(MakeDirectory(layout.directory() + "/secrets"));
  std::error_code error;
  for (const char* const name : kPasswords) {
    if (std::filesystem::exists(layout.SecretOf(name), error)) continue;
    std::array<std::uint8_t, kPasswordBytes> bytes{};
    random.Fill(bytes);
    MUSTER_TRY(WriteLabFile(layout.SecretOf(name), ToHex(bytes) + "\n"));
  }
  if (!std::filesystem::exists(layout.SecretOf("keyring"), error)) {
    MUSTER_TRY(Keyring::Create(layout.SecretOf("keyring"), random));
  }
  return {};
}

Result<std::string> ReadSecret(const Layout& layout, const std::string& name) {
  MUSTER_ASSIGN(const std::string text, ReadLabFile(layout.SecretOf(name)));
  return text.substr(0, text.find('\n'));
}

Result<Descriptor> LockDirectory(const std::string& directory) {
  const std::string path = directory + "/lock";
  Descriptor lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kPrivateFile));
  if (!lock) return SystemRefuses("open", path, errno);
  if (::flock(lock.number(), LOCK_EX | LOCK_NB) == 0) return lock;
  return Fail(Reason::kStateConflict,
              "a lab is running in " + directory + ": see it with `muster lab status`, end it with `muster lab down`");
}

bool IsLocked(const std::string& directory) {
  const Descriptor lock(::open((directory + "/lock").c_str(), O_RDWR | O_CLOEXEC));
  return lock && ::flock(lock.number(), LOCK_SH | LOCK_NB) != 0;
}

Result<void> PurgeDirectory(const std::string& directory) {
  MUSTER_ASSIGN(const std::optional<Layout> layout, ReadLayout(directory));
  if (!layout) return Fail(Reason::kNotFound, directory + " holds no lab");
  MUSTER_ASSIGN(const Descriptor lock, LockDirectory(directory));
  std::error_code error;
  std::filesystem::remove_all(directory, error);
  if (error) return SystemRefuses("remove", directory, error.value());
  return {};
}

}  // namespace muster::lab
