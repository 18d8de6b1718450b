#include "cache/redis/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "base/check.h"
#include "cache/redis/command.h"

namespace muster::redis {
namespace {

constexpr std::size_t kInputBytes = std::size_t{64} << 10;
constexpr int kReadsPerTurnMax = 16;  // then others of the loop get their share
constexpr std::size_t kOutputBytesKept = std::size_t{1} << 20;

union SocketAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
  sockaddr_un path;
};

// The address's length; 0: none.
socklen_t AddressOf(const Endpoint& endpoint, SocketAddress& address) {
  std::memset(&address, 0, sizeof address);
  if (endpoint.host.starts_with('/')) {
    address.path.sun_family = AF_UNIX;
    if (endpoint.host.size() >= sizeof address.path.sun_path) return 0;
    std::memcpy(address.path.sun_path, endpoint.host.data(), endpoint.host.size());
    return sizeof address.path;
  }
  if (::inet_pton(AF_INET, endpoint.host.c_str(), &address.v4.sin_addr) == 1) {
    address.v4.sin_family = AF_INET;
    address.v4.sin_port = htons(endpoint.port);
    return sizeof address.v4;
  }
  if (::inet_pton(AF_INET6, endpoint.host.c_str(), &address.v6.sin6_addr) == 1) {
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_port = htons(endpoint.port);
    return sizeof address.v6;
  }
  return 0;
}

}  // namespace

Result<Credentials> LoadCredentials(const std::string& user, const std::string& password_file) {
  Credentials credentials{.user = user};
  if (password_file.empty()) return credentials;
  struct stat status{};
  if (::stat(password_file.c_str(), &status) != 0) {
    return Fail(Reason::kInternal, "the password file " + password_file + " of Redis cannot be read: create it");
  }
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return Fail(Reason::kInternal,
                "the password file " + password_file + " is open to others: chmod 600 " + password_file);
  }
  std::ifstream file(password_file);
  if (!std::getline(file, credentials.password) || credentials.password.empty()) {
    return Fail(Reason::kInternal, "the password file " + password_file + " has no password in its first line");
  }
  return credentials;
}

Connection::Connection(Endpoint endpoint, const ConnectionSettings& settings, SocketLoop& loop, LoopTimer& timer,
                       Random& random, Listener listener)
    : endpoint_(std::move(endpoint)),
      settings_(settings),
      loop_(loop),
      timer_(timer),
      random_(random),
      listener_(std::move(listener)),
      backoff_(settings.backoff_min),
      tick_(timer),
      probe_(timer),
      retry_(timer) {}

Connection::~Connection() {
  *alive_ = false;
  state_ = State::kClosed;  // whoever is answered now finds it ended
  if (socket_ >= 0) {
    loop_.Forget(socket_);
    ::close(socket_);
  }
  for (auto lost = std::exchange(waiting_, {}); Waiting & waiting : lost) {
    if (waiting.done) waiting.done(std::unexpected(Failure{.fault = Fault::kUnreachable}));
  }
}

void Connection::Open() {
  MUSTER_CHECK(state_ == State::kClosed);
  Connect();
}

void Connection::Connect() {
  state_ = State::kConnecting;
  SocketAddress address;
  const socklen_t length = AddressOf(endpoint_, address);
  if (length == 0) return Break(Fault::kUnreachable);
  socket_ = ::socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return Break(Fault::kUnreachable);
  if (address.any.sa_family != AF_UNIX) {
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  parser_ = std::make_unique<ReplyParser>();
  interest_ = {.write = true};
  const bool is_begun = ::connect(socket_, &address.any, length) == 0 || errno == EINPROGRESS;
  if (!is_begun || !loop_.Watch(socket_, *this, interest_)) return Break(Fault::kUnreachable);
  retry_.Set(settings_.connect_timeout, [this] { Break(Fault::kTimedOut); });
}

void Connection::OnReady(Ready ready) {
  if (socket_ < 0) return;  // given up earlier in this turn
  if (state_ == State::kConnecting) {
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
      return Break(Fault::kUnreachable);
    if (ready.writable) Greet();
    return;
  }
  if (ready.writable) Flush();
  if (socket_ >= 0 && (ready.readable || ready.broken)) Read();
}

void Connection::Greet() {
  state_ = State::kGreeting;
  const Instant deadline = Instant::max();  // of the whole greeting: see Connect
  const auto accepted = [this](Outcome outcome) { OnGreeted(std::move(outcome)); };
  greetings_ = 1 + settings_.scripts.size();
  const Credentials& credentials = settings_.credentials;
  if (!credentials.password.empty()) {
    ++greetings_;
    const std::string_view user = credentials.user.empty() ? std::string_view("default") : credentials.user;
    Enqueue(MakeCommand("AUTH", user, credentials.password), deadline, accepted);
  }
  Enqueue(MakeCommand("INFO", "server", "memory", "replication", "cluster"), deadline, [this](Outcome outcome) {
    const std::uint64_t before = generation_;
    OnFacts(std::move(outcome));
    if (generation_ == before && state_ == State::kGreeting && --greetings_ == 0) BecomeUp();
  });
  for (const std::string_view script : settings_.scripts) {
    Enqueue(MakeCommand("SCRIPT", "LOAD", script), deadline, accepted);
  }
  Watch();
}

void Connection::OnGreeted(Outcome outcome) {
  if (state_ != State::kGreeting) return;
  if (!outcome) return Break(outcome.error().fault);
  if (--greetings_ == 0) BecomeUp();
}

void Connection::OnFacts(Outcome outcome) {
  if (state_ != State::kGreeting && state_ != State::kUp) return;
  if (!outcome) {
    // A probe that is only late is the tick's to judge.
    if (state_ == State::kGreeting || outcome.error().fault != Fault::kTimedOut) Break(outcome.error().fault);
    return;
  }
  const auto text = outcome->view().text();
  std::optional<ServerFacts> facts = text ? ParseServerFacts(*text) : std::nullopt;
  if (!facts) return Break(Fault::kMalformed);
  if (!facts->is_primary) return Break(Fault::kReadOnly);
  if (!facts->KeepsFloors()) return Break(Fault::kUnsafePolicy);
  if (state_ == State::kUp && facts->identity != facts_.identity) return Break(Fault::kLost);
  facts_ = *std::move(facts);
}

void Connection::BecomeUp() {
  state_ = State::kUp;
  backoff_ = settings_.backoff_min;
  retry_.Cancel();
  if (settings_.probe_interval > Duration(0)) probe_.Set(settings_.probe_interval, [this] { Probe(); });
  if (listener_.up) listener_.up();
}

void Connection::Probe() {
  if (state_ != State::kUp) return;
  Enqueue(MakeCommand("INFO", "server", "memory", "replication", "cluster"), timer_.Now() + settings_.stall_timeout,
          [this](Outcome outcome) { OnFacts(std::move(outcome)); });
  probe_.Set(settings_.probe_interval, [this] { Probe(); });
}

void Connection::Send(std::string_view command, Deadline deadline, OutcomeReply done) {
  if (state_ != State::kUp) return done(std::unexpected(Failure{.fault = Fault::kUnreachable}));
  const std::size_t unsent = output_.size() - output_sent_;
  if (waiting_.size() >= settings_.outstanding_max || unsent + command.size() > settings_.output_bytes_max) {
    return done(std::unexpected(Failure{.fault = Fault::kTooMany}));
  }
  Enqueue(command, deadline.at(), std::move(done));
}

void Connection::Enqueue(std::string_view command, Instant deadline, OutcomeReply done) {
  output_.append(command);
  waiting_.push_back({.done = std::move(done), .deadline = deadline, .sent = timer_.Now()});
  ScheduleFlush();
  if (!tick_.is_set()) tick_.Set(kTick, [this] { Tick(); });
}

void Connection::ScheduleFlush() {
  if (std::exchange(flush_is_scheduled_, true)) return;
  loop_.Defer([this, alive = alive_] {
    if (!*alive) return;
    flush_is_scheduled_ = false;
    if (state_ == State::kGreeting || state_ == State::kUp) Flush();
  });
}

void Connection::Flush() {
  while (output_sent_ < output_.size()) {
    const ssize_t sent =
        ::send(socket_, output_.data() + output_sent_, output_.size() - output_sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (sent < 0) return Break(Fault::kUnreachable);
    ++writes_;
    output_sent_ += static_cast<std::size_t>(sent);
  }
  if (output_sent_ == output_.size()) {
    output_.clear();
    if (output_.capacity() > kOutputBytesKept) output_.shrink_to_fit();
    output_sent_ = 0;
  }
  Watch();
}

void Connection::Watch() {
  const SocketLoop::Interest wanted{.read = true,
                                    .write = output_sent_ < output_.size() && state_ != State::kConnecting};
  if (wanted == interest_) return;
  interest_ = wanted;
  loop_.ChangeInterest(socket_, *this, interest_);
}

void Connection::Read() {
  static thread_local std::array<char, kInputBytes> input;
  for (int i = 0; i < kReadsPerTurnMax; ++i) {
    const ssize_t count = ::recv(socket_, input.data(), input.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (count <= 0) return Break(Fault::kUnreachable);
    if (!parser_->Feed({input.data(), static_cast<std::size_t>(count)})) return Break(Fault::kMalformed);
    if (!Answer() || static_cast<std::size_t>(count) < input.size()) return;
  }
}

// False: the connection is another one, or none, now.
bool Connection::Answer() {
  const std::uint64_t before = generation_;
  while (true) {
    auto next = parser_->Next();
    if (!next) {
      Break(next.error());
      return false;
    }
    if (!*next) return true;
    if (!Take(**std::move(next))) {
      Break(Fault::kMalformed);
      return false;
    }
    if (generation_ != before) return false;
  }
}

// False: nobody has asked for it.
bool Connection::Take(Reply reply) {
  const ReplyView view = reply.view();
  if (listener_.pushed && view.size() == 3 && view.at(0).text() == "message") {
    listener_.pushed(view);
    return true;
  }
  if (waiting_.empty()) return false;
  Waiting first = std::move(waiting_.front());
  waiting_.pop_front();
  if (first.done) {
    Outcome outcome = view.is_error() ? Outcome(std::unexpected(view.failure())) : Outcome(std::move(reply));
    first.done(std::move(outcome));
  }
  return true;
}

void Connection::Tick() {
  const std::uint64_t before = generation_;
  const Instant now = timer_.Now();
  // By index: who is answered may send again.
  const std::size_t count = waiting_.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (!waiting_[i].done || waiting_[i].deadline > now) continue;
    std::exchange(waiting_[i].done, nullptr)(std::unexpected(Failure{.fault = Fault::kTimedOut}));
    if (generation_ != before) return;
  }
  if (waiting_.empty()) return;
  if (state_ == State::kUp && now - waiting_.front().sent > settings_.stall_timeout) return Break(Fault::kTimedOut);
  tick_.Set(kTick, [this] { Tick(); });
}

void Connection::Break(Fault fault) {
  if (socket_ >= 0) {
    loop_.Forget(socket_);
    ::close(std::exchange(socket_, -1));
  }
  ++generation_;
  const bool was_up = state_ == State::kUp;
  const bool is_news = was_up || fault != last_fault_;
  state_ = State::kDown;
  last_fault_ = fault;
  output_.clear();
  output_sent_ = 0;
  tick_.Cancel();
  probe_.Cancel();
  // Between half of it and all of it, so that those who lost one server do not come back at once together.
  const Duration pause =
      backoff_ / 2 +
      Duration(static_cast<std::int64_t>(random_.Below(static_cast<std::uint64_t>(backoff_.count()) / 2 + 1)));
  backoff_ = std::min(backoff_ * 2, settings_.backoff_max);
  retry_.Set(pause, [this] { Connect(); });
  std::deque<Waiting> lost = std::exchange(waiting_, {});
  for (Waiting& waiting : lost) {
    if (waiting.done) waiting.done(std::unexpected(Failure{.fault = Fault::kUnreachable}));
  }
  if (is_news && listener_.down) listener_.down(fault);
}

}  // namespace muster::redis
