#include "lab/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <optional>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/thread_name.h"
#include "lab/descriptor.h"
#include "lab/proxied_connection.h"

namespace muster::lab {
namespace {

constexpr int kEventsOfTurn = 256;
// What epoll gives back: who an event is for. Connections follow, two numbers each.
constexpr std::uint64_t kWake = 0, kTimer = 1, kFirstListener = 2, kFirstConnection = 1024;
// When the system has no descriptor left.
constexpr Duration kAcceptAgainAfter = std::chrono::milliseconds(100);

Result<Descriptor> ListenOn(const ProxyRoute& route) {
  Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  ::setsockopt(listener.number(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(route.listen_port);
  if (::bind(listener.number(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
      ::listen(listener.number(), SOMAXCONN) == 0) {
    return listener;
  }
  return Fail(Reason::kStateConflict,
              "port " + std::to_string(route.listen_port) + ", on which " + route.name +
                  " is reached from other centers, cannot be had: " + std::generic_category().message(errno) +
                  ". End what uses it, or make the lab in another --dir");
}

class EpollProxy final : public Proxy {
 public:
  EpollProxy(std::vector<ProxyRoute> routes, ProxyDependencies dependencies)
      : routes_(std::move(routes)),
        dependencies_(std::move(dependencies)),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {}

  ~EpollProxy() override {
    if (!thread_.joinable()) return;
    dependencies_.links->OnChange([] {});
    is_over_ = true;
    Wake();
    thread_.join();
  }

  Result<void> Begin() {
    MUSTER_CHECK(epoll_ && wake_ && timer_);
    MUSTER_CHECK(routes_.size() < kFirstConnection - kFirstListener);
    Watch(wake_.number(), kWake, EPOLLIN);
    Watch(timer_.number(), kTimer, EPOLLIN);
    for (const ProxyRoute& route : routes_) {
      MUSTER_ASSIGN(Descriptor listener, ListenOn(route));
      Watch(listener.number(), kFirstListener + listeners_.size(), EPOLLIN | EPOLLET);
      listeners_.push_back(std::move(listener));
    }
    dependencies_.links->OnChange([this] { Wake(); });
    thread_ = std::thread([this] { Run(); });
    NameThread(thread_, "lab-proxy");
    return {};
  }

  std::size_t open() const override { return open_; }

 private:
  using Connections = std::unordered_map<std::uint64_t, std::unique_ptr<ProxiedConnection>>;

  Instant Now() const { return dependencies_.clock->Monotonic(); }

  void Watch(int descriptor, std::uint64_t id, std::uint32_t events) const {
    epoll_event event{.events = events, .data = {.u64 = id}};
    MUSTER_CHECK(::epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, descriptor, &event) == 0);
  }

  void Wake() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_.number(), &one, sizeof one);
  }

  void Run() {
    std::array<epoll_event, kEventsOfTurn> events{};
    while (!is_over_) {
      const int count = ::epoll_wait(epoll_.number(), events.data(), kEventsOfTurn, -1);
      for (int i = 0; i < count; ++i) OnEvent(events[static_cast<std::size_t>(i)]);
      if (accept_again_ && *accept_again_ <= Now()) AcceptAll();
      MoveAll();
    }
  }

  void OnEvent(const epoll_event& event) {
    const std::uint64_t id = event.data.u64;
    if (id == kWake || id == kTimer) {
      std::uint64_t ignored = 0;
      const int descriptor = id == kWake ? wake_.number() : timer_.number();
      [[maybe_unused]] const ssize_t size = ::read(descriptor, &ignored, sizeof ignored);
    } else if (id < kFirstConnection) {
      Accept(static_cast<std::size_t>(id - kFirstListener));
    } else if (const auto found = connections_.find(id & ~std::uint64_t{1}); found != connections_.end()) {
      using Side = ProxiedConnection::Side;
      found->second->OnEvents((id & 1) == 0 ? Side::kClient : Side::kServer, event.events);
    }
  }

  void AcceptAll() {
    accept_again_.reset();
    for (std::size_t i = 0; i < listeners_.size(); ++i) Accept(i);
  }

  void Accept(std::size_t index) {
    const ProxyRoute& route = routes_[index];
    for (;;) {
      sockaddr_in peer{};
      socklen_t length = sizeof peer;
      Descriptor client(::accept4(listeners_[index].number(), reinterpret_cast<sockaddr*>(&peer), &length,
                                  SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!client) {
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) accept_again_ = Now() + kAcceptAgainAfter;
        return;
      }
      if (connections_.size() >= kConnectionsMax) {
        dependencies_.logger->Warning("a connection is refused: the proxy has as many as it takes",
                                      {{"to", route.name}});
        continue;
      }
      const Connector connector = dependencies_.locate(ntohs(peer.sin_port), route.listen_port);
      if (connector.who == Connector::Who::kGone) continue;
      const int yes = 1;
      ::setsockopt(client.number(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      const bool has_link = connector.who == Connector::Who::kComponent && connector.center != route.center;
      const std::uint64_t id = next_id_;
      next_id_ += 2;
      auto connection = std::make_unique<ProxiedConnection>(std::move(client),
                                                            has_link ? std::optional(connector.center) : std::nullopt,
                                                            route.center, route.target_port, Now());
      Watch(connection->client_socket(), id, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
      connections_.emplace(id, std::move(connection));
    }
  }

  void MoveAll() {
    transit_.now = Now();
    transit_.links = dependencies_.links->Read();
    std::optional<Instant> next = accept_again_;
    for (auto at = connections_.begin(); at != connections_.end();) {
      ProxiedConnection& connection = *at->second;
      const bool goes_on = connection.Move(transit_);
      if (!goes_on) {
        at = connections_.erase(at);
        continue;
      }
      if (const int server = connection.TakeNewServerSocket(); server >= 0) {
        Watch(server, at->first | 1, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
      }
      if (const auto due = connection.due(); due && (!next || *due < *next)) next = due;
      ++at;
    }
    open_ = connections_.size();
    SetTimer(next);
  }

  // Zero would turn it off.
  void SetTimer(std::optional<Instant> at) const {
    itimerspec when{};
    if (at) {
      const Duration left = std::max(*at - Now(), Duration(1));
      const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
      when.it_value = {.tv_sec = seconds.count(), .tv_nsec = std::chrono::nanoseconds(left - seconds).count()};
    }
    MUSTER_CHECK(::timerfd_settime(timer_.number(), 0, &when, nullptr) == 0);
  }

  const std::vector<ProxyRoute> routes_;
  const ProxyDependencies dependencies_;
  const Descriptor epoll_;
  const Descriptor wake_;
  const Descriptor timer_;
  std::vector<Descriptor> listeners_;
  std::atomic<bool> is_over_{false};
  std::atomic<std::size_t> open_{0};
  std::thread thread_;
  // Of the thread.
  Connections connections_;
  std::uint64_t next_id_ = kFirstConnection;
  std::optional<Instant> accept_again_;
  Transit transit_;
};

}  // namespace

Result<std::unique_ptr<Proxy>> Proxy::Start(const std::vector<ProxyRoute>& routes, ProxyDependencies dependencies) {
  auto proxy = std::make_unique<EpollProxy>(routes, std::move(dependencies));
  MUSTER_TRY(proxy->Begin());
  return proxy;
}

}  // namespace muster::lab
