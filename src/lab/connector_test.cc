#include "lab/connector.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "lab/testing/loopback.h"

namespace muster::lab {
namespace {

using testing::AwaitThat;
using testing::Listener;
using testing::Peer;

// A process that connects and then holds still.
class ConnectedChild {
 public:
  explicit ConnectedChild(std::uint16_t port) : pid_(::fork()) {
    if (pid_ != 0) return;
    const Descriptor socket(::socket(AF_INET, SOCK_STREAM, 0));
    const sockaddr_in address = testing::LoopbackAt(port);
    if (::connect(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) ::_exit(1);
    for (;;) ::pause();
  }
  ~ConnectedChild() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  const pid_t pid_;
};

std::uint16_t PortOfPeer(const Peer& accepted) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  MUSTER_CHECK(::getpeername(accepted.number(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  return ntohs(address.sin_port);
}

TEST(FindConnector, KnowsAProcessOfTheLab) {
  Listener server;
  const ConnectedChild one(server.port()), other(server.port());
  const Peer first = Peer::Accept(server), second = Peer::Accept(server);
  const std::vector<PlacedProcess> processes = {{.pid = one.pid(), .center = Center::kA},
                                                {.pid = other.pid(), .center = Center::kWitness}};
  std::vector<Connector> found;
  for (const Peer* const peer : {&first, &second}) {
    found.push_back(FindConnector(PortOfPeer(*peer), server.port(), processes));
    EXPECT_EQ(found.back().who, Connector::Who::kComponent);
  }
  EXPECT_NE(found[0].center, found[1].center);
}

TEST(FindConnector, WhoIsNoProcessOfTheLabIsAnOutsider) {
  Listener server;
  const ConnectedChild child(server.port());  // first: it would have what is open here
  const Peer client = Peer::Connect(server.port());
  EXPECT_EQ(FindConnector(client.local_port(), server.port(), {{.pid = child.pid(), .center = Center::kA}}).who,
            Connector::Who::kOutsider);
}

TEST(FindConnector, WhoHasClosedIsGone) {
  Listener server;
  Peer client = Peer::Connect(server.port());
  const std::uint16_t port = client.local_port();
  client.Close();
  EXPECT_TRUE(AwaitThat([&] { return FindConnector(port, server.port(), {}).who == Connector::Who::kGone; }));
}

TEST(FindConnector, BothWaysToTheInodeAgree) {
  Listener server;
  const Peer client = Peer::Connect(server.port());
  const auto by_proc = connector_internal::InodeByProc(client.local_port(), server.port());
  ASSERT_TRUE(by_proc.has_value());
  EXPECT_GT(*by_proc, 0u);
  const auto by_netlink = connector_internal::InodeByNetlink(client.local_port(), server.port());
  if (!by_netlink) GTEST_SKIP() << "the kernel does not answer NETLINK_SOCK_DIAG here";
  EXPECT_EQ(*by_netlink, *by_proc);
}

}  // namespace
}  // namespace muster::lab
