#include "api/http_acceptor.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

namespace muster {
namespace {

constexpr int kAcceptsPerTurn = 64;
constexpr int kAcceptsAtStop = 4096;  // the backlog
constexpr Duration kLogInterval = std::chrono::seconds(10);

int OpenReserve() { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

}  // namespace

HttpAcceptor::HttpAcceptor(AsioEventLoop& loop, int listening_socket, std::function<void(int)> accepted,
                           Counter& refused, const Clock& clock, Logger& logger)
    : loop_(loop),
      socket_(listening_socket),
      reserve_(OpenReserve()),
      accepted_(std::move(accepted)),
      refused_(refused),
      clock_(clock),
      logger_(logger) {}

Result<void> HttpAcceptor::Start() {
  if (reserve_ >= 0 && loop_.Watch(socket_, *this, {.read = true})) return {};
  return Fail(Reason::kOverloaded, std::string("cannot watch a listening socket: ") +
                                       std::generic_category().message(errno) +
                                       "; raise the limit of open files (ulimit -n)");
}

void HttpAcceptor::Stop() {
  if (socket_ < 0) return;
  AcceptSome(kAcceptsAtStop);
  Close();
}

void HttpAcceptor::Close() {
  if (socket_ >= 0) {
    loop_.Forget(socket_);
    close(std::exchange(socket_, -1));
  }
  if (reserve_ >= 0) close(std::exchange(reserve_, -1));
}

void HttpAcceptor::Resume() {
  if (!paused_ || socket_ < 0) return;
  paused_ = false;
  loop_.ChangeInterest(socket_, *this, {.read = true});
}

void HttpAcceptor::OnReady(Ready) {
  if (socket_ >= 0) AcceptSome(kAcceptsPerTurn);
}

void HttpAcceptor::AcceptSome(int most) {
  for (int i = 0; i < most; ++i) {
    const int made = accept4(socket_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (made < 0) {
      if (!OnError(errno)) return;
      continue;
    }
    accepted_(made);
  }
}

bool HttpAcceptor::OnError(int error) {
  switch (error) {
    case EAGAIN:
      return false;
    case EMFILE:
    case ENFILE:
      LogRarely("out of file descriptors",
                "raise the limit of open files (ulimit -n) or lower the bound of connections");
      if (reserve_ >= 0) {
        close(reserve_);
        const int made = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
        if (made >= 0) close(made);
        reserve_ = OpenReserve();
        if (made >= 0) {
          refused_.Add();
          return true;
        }
      } else {
        reserve_ = OpenReserve();
      }
      break;
    case ENOBUFS:
    case ENOMEM:
      LogRarely("out of memory for sockets", "give the machine more memory or lower the bound of connections");
      break;
    default:
      // The connection that was to be accepted has failed already (accept(2): to be treated like EAGAIN by retrying).
      return true;
  }
  paused_ = true;
  loop_.ChangeInterest(socket_, *this, {});
  return false;
}

void HttpAcceptor::LogRarely(std::string_view cause, std::string_view advice) {
  const Instant now = clock_.Monotonic();
  if (now < quiet_until_) return;
  quiet_until_ = now + kLogInterval;
  logger_.Warning("connections cannot be accepted", {{"cause", cause}, {"advice", advice}});
}

}  // namespace muster
