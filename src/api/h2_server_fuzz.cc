#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "api/grpc_api.h"
#include "api/grpc_server.h"
#include "api/idempotency.h"
#include "api/testing/fake_directory.h"
#include "base/check.h"
#include "base/random.h"

// What a connection gets, behind a greeting: the server has to answer or to end it, and to serve the next one. Over
// real sockets, so that the loop's part is in it.

namespace {

using namespace muster;

constexpr int kPatienceMs = 5000;
constexpr std::string_view kGreeting("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 33);

struct Fixture {
  Fixture() {
    callers.Add("k", {Scope::kMembersRead});
    GrpcServerOptions options{.listen = "127.0.0.1:0", .threads = 1};
    options.message_bytes_max = 4096;
    server = *GrpcServer::Start(
        options,
        [this](EventLoop& loop) -> Result<std::unique_ptr<GrpcHandler>> {
          return MakeGrpcApi(loop, std::make_unique<testing::StubReader>(),
                             {.writer = &writer,
                              .merger = &writer,
                              .archive = &archive,
                              .callers = &callers,
                              .catalog = &catalog,
                              .keyring = &keyring,
                              .clock = &clock,
                              .random = &random,
                              .logger = &NullLogger(),
                              .metrics = &metrics,
                              .keys_under_way = &keys_under_way,
                              .readiness = [] { return std::vector<ReadinessCheck>{}; },
                              .server = [] { return ServerInfo{.version = "fuzz"}; }});
        },
        clock, NullLogger(), metrics);
    const std::string address = server->address();
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
  }

  SystemClock clock;
  SystemRandom random;
  Keyring keyring = Keyring::Generate(random);
  IdentityCatalog catalog = IdentityCatalog::Default();
  MetricRegistry metrics;
  KeysUnderWay keys_under_way;
  testing::FakeCallers callers;
  testing::FakeArchive archive;
  testing::StubWriter writer;
  std::unique_ptr<GrpcServer> server;
  sockaddr_in to{};
};

// The fuzzer's own alarm interrupts calls.
void Await(int client, short events) {
  pollfd ready{.fd = client, .events = events, .revents = 0};
  int count = 0;
  do {
    count = poll(&ready, 1, kPatienceMs);
  } while (count < 0 && errno == EINTR);
  MUSTER_CHECK(count == 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Fixture fixture;
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(client, reinterpret_cast<sockaddr*>(&fixture.to), sizeof fixture.to) != 0) {
    MUSTER_CHECK(errno == EINTR);  // and goes on
    Await(client, POLLOUT);
  }
  // A reset at the end leaves no socket waiting, of which there would soon be too many.
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  std::string sent(kGreeting);
  sent.append(reinterpret_cast<const char*>(data), size);
  // A ping, to whose answer all before it has been looked at, unless the connection ends first.
  sent.append("\0\0\x08\x06\0\0\0\0\0pingping", 17);
  send(client, sent.data(), sent.size(), MSG_NOSIGNAL);
  shutdown(client, SHUT_WR);
  char buffer[4096];
  while (true) {
    Await(client, POLLIN);
    if (recv(client, buffer, sizeof buffer, 0) <= 0) break;
  }
  close(client);
  return 0;
}
