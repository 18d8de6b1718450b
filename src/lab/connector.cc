#include "lab/connector.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "lab/descriptor.h"

namespace muster::lab {
namespace connector_internal {
namespace {

constexpr std::uint32_t kAnyState = 0xffffffff;
constexpr timeval kAnswerWithin{.tv_sec = 0, .tv_usec = 200'000};
// Of the last open descriptor's link in /proc: "socket:[18446744073709551615]".
constexpr std::size_t kLinkBytesMax = 64;

struct DiagnosticRequest {
  nlmsghdr header;
  inet_diag_req_v2 body;
};

// An address and a port as /proc/net/tcp writes them.
std::string ProcAddress(std::uint16_t port) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%08X:%04X", htonl(INADDR_LOOPBACK), static_cast<unsigned>(port));
  return text.data();
}

}  // namespace

std::optional<std::uint64_t> InodeByNetlink(std::uint16_t client_port, std::uint16_t server_port) {
  const Descriptor link(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!link) return std::nullopt;
  ::setsockopt(link.number(), SOL_SOCKET, SO_RCVTIMEO, &kAnswerWithin, sizeof kAnswerWithin);
  DiagnosticRequest request{};
  request.header = {.nlmsg_len = sizeof request,
                    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                    .nlmsg_flags = NLM_F_REQUEST,
                    .nlmsg_seq = 1,
                    .nlmsg_pid = 0};
  request.body.sdiag_family = AF_INET;
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = kAnyState;
  request.body.id.idiag_sport = htons(client_port);
  request.body.id.idiag_dport = htons(server_port);
  request.body.id.idiag_src[0] = request.body.id.idiag_dst[0] = htonl(INADDR_LOOPBACK);
  request.body.id.idiag_cookie[0] = request.body.id.idiag_cookie[1] = static_cast<std::uint32_t>(INET_DIAG_NOCOOKIE);
  if (::send(link.number(), &request, sizeof request, 0) != sizeof request) return std::nullopt;
  alignas(nlmsghdr) std::array<char, 1024> answer{};
  const ssize_t size = ::recv(link.number(), answer.data(), answer.size(), 0);
  nlmsghdr header{};
  if (size < static_cast<ssize_t>(sizeof header)) return std::nullopt;
  std::memcpy(&header, answer.data(), sizeof header);
  if (header.nlmsg_type == NLMSG_ERROR) {
    nlmsgerr error{};
    if (size < static_cast<ssize_t>(NLMSG_HDRLEN + sizeof error)) return std::nullopt;
    std::memcpy(&error, answer.data() + NLMSG_HDRLEN, sizeof error);
    return error.error == -ENOENT ? std::optional<std::uint64_t>(0) : std::nullopt;
  }
  inet_diag_msg found{};
  if (size < static_cast<ssize_t>(NLMSG_HDRLEN + sizeof found)) return std::nullopt;
  std::memcpy(&found, answer.data() + NLMSG_HDRLEN, sizeof found);
  return found.idiag_inode;
}

std::optional<std::uint64_t> InodeByProc(std::uint16_t client_port, std::uint16_t server_port) {
  std::ifstream table("/proc/net/tcp");
  if (!table) return std::nullopt;
  const std::string wanted = " " + ProcAddress(client_port) + " " + ProcAddress(server_port) + " ";
  std::string line;
  while (std::getline(table, line)) {
    if (line.find(wanted) == std::string::npos) continue;
    unsigned long inode = 0;
    // sl local remote state queues timer retransmissions uid timeout inode
    if (std::sscanf(line.c_str(), "%*s %*s %*s %*s %*s %*s %*s %*s %*s %lu", &inode) == 1) return inode;
  }
  return 0;
}

}  // namespace connector_internal

namespace {

bool HasOpen(pid_t pid, std::string_view wanted) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/fd";
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), ::closedir);
  if (entries == nullptr) return false;
  std::array<char, connector_internal::kLinkBytesMax> target{};
  while (const dirent* const entry = ::readdir(entries.get())) {  // NOLINT(concurrency-mt-unsafe): a stream of our own
    const ssize_t size = ::readlinkat(::dirfd(entries.get()), entry->d_name, target.data(), target.size());
    if (size > 0 && std::string_view(target.data(), static_cast<std::size_t>(size)) == wanted) return true;
  }
  return false;
}

}  // namespace

Connector FindConnector(std::uint16_t client_port, std::uint16_t server_port,
                        const std::vector<PlacedProcess>& processes) {
  std::optional<std::uint64_t> inode = connector_internal::InodeByNetlink(client_port, server_port);
  if (!inode) inode = connector_internal::InodeByProc(client_port, server_port);
  if (!inode) return {.who = Connector::Who::kOutsider};
  if (*inode == 0) return {.who = Connector::Who::kGone};
  const std::string wanted = "socket:[" + std::to_string(*inode) + "]";
  for (const PlacedProcess& process : processes) {
    if (HasOpen(process.pid, wanted)) return {.who = Connector::Who::kComponent, .center = process.center};
  }
  return {.who = Connector::Who::kOutsider};
}

}  // namespace muster::lab
