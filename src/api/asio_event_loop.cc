#include "api/asio_event_loop.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/check.h"

namespace muster {
namespace {

// Ready sockets of one turn; more wait for the next one, so that posted work and timers get their share.
constexpr std::size_t kSocketsPerTurn = 256;

// After a turn the sockets are looked at again without asking Asio, which saves two system calls when there are any; at
// most this often, so that timers get their share.
constexpr int kTurnsInARow = 8;

std::uint32_t EventsOf(AsioEventLoop::Interest interest) {
  return (interest.read ? std::uint32_t{EPOLLIN} : 0U) | (interest.write ? std::uint32_t{EPOLLOUT} : 0U);
}

}  // namespace

struct AsioEventLoop::State {
  explicit State(int epoll_descriptor) : sockets(io, epoll_descriptor), ticker(io) {}

  void WaitForSockets();
  void WaitForTick();
  void Wake();
  // False: no socket was ready.
  bool RunTurn();
  void RunPosted();
  bool RunSockets();
  void EndTurn();

  // One thread runs it, but Post comes from any: so the hint is 1, which keeps Asio's locks, and not one of those that
  // drop them.
  asio::io_context io{1};
  asio::posix::stream_descriptor sockets;
  asio::steady_timer ticker;
  std::array<epoll_event, kSocketsPerTurn> ready;

  std::mutex mutex;
  std::vector<Work> posted;        // guarded by mutex; bounded by who posts: one a request under way
  bool wake_is_under_way = false;  // guarded by mutex

  std::vector<Work> running;  // two to swap, so that they keep their memory
  std::vector<Work> deferred;
  std::vector<Work> running_deferred;
  Work turn_end;
  Duration tick_interval = Duration::zero();
  Work tick;
};

void AsioEventLoop::State::WaitForSockets() {
  sockets.async_wait(asio::posix::descriptor_base::wait_read, [this](const asio::error_code& error) {
    if (error) return;
    for (int turn = 0; turn < kTurnsInARow && RunTurn(); ++turn) {
    }
    WaitForSockets();
  });
}

void AsioEventLoop::State::Wake() {
  asio::post(io, [this] { RunTurn(); });
}

bool AsioEventLoop::State::RunTurn() {
  RunPosted();
  const bool any = RunSockets();
  EndTurn();
  return any;
}

void AsioEventLoop::State::RunPosted() {
  {
    std::lock_guard lock(mutex);
    running.swap(posted);
    wake_is_under_way = false;
  }
  for (Work& work : running) std::exchange(work, {})();
  running.clear();
}

bool AsioEventLoop::State::RunSockets() {
  const int count = epoll_wait(sockets.native_handle(), ready.data(), static_cast<int>(ready.size()), 0);
  MUSTER_CHECK(count >= 0 || errno == EINTR);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = ready[static_cast<std::size_t>(i)];
    // The next one's connection comes from memory while this one is served.
    if (i + 1 < count) __builtin_prefetch(ready[static_cast<std::size_t>(i) + 1].data.ptr);
    static_cast<SocketWatcher*>(event.data.ptr)
        ->OnReady({.readable = (event.events & EPOLLIN) != 0,
                   .writable = (event.events & EPOLLOUT) != 0,
                   .broken = (event.events & (EPOLLERR | EPOLLHUP)) != 0});
  }
  return count > 0;
}

void AsioEventLoop::State::EndTurn() {
  // What deferred work defers belongs to the next turn.
  running_deferred.swap(deferred);
  for (Work& work : running_deferred) std::exchange(work, {})();
  running_deferred.clear();
  if (turn_end) turn_end();
  if (!deferred.empty()) Wake();
}

void AsioEventLoop::State::WaitForTick() {
  ticker.expires_after(tick_interval);
  ticker.async_wait([this](const asio::error_code& error) {
    if (error) return;
    tick();
    EndTurn();
    WaitForTick();
  });
}

Result<std::unique_ptr<AsioEventLoop>> AsioEventLoop::Make() {
  const int descriptor = epoll_create1(EPOLL_CLOEXEC);
  if (descriptor >= 0) {
    try {
      return std::unique_ptr<AsioEventLoop>(new AsioEventLoop(std::make_unique<State>(descriptor)));
    } catch (const std::system_error& error) {
      close(descriptor);
      errno = error.code().value();
    }
  }
  return Fail(Reason::kOverloaded, std::string("cannot make an event loop: ") + strerrordesc_np(errno) +
                                       "; raise the limit of open files (ulimit -n) or lower the number of threads");
}

AsioEventLoop::AsioEventLoop(std::unique_ptr<State> state) : state_(std::move(state)) { state_->WaitForSockets(); }

AsioEventLoop::~AsioEventLoop() = default;

void AsioEventLoop::Run() { state_->io.run(); }

void AsioEventLoop::Stop() { state_->io.stop(); }

void AsioEventLoop::Post(Work work) {
  {
    std::lock_guard lock(state_->mutex);
    state_->posted.push_back(std::move(work));
    if (std::exchange(state_->wake_is_under_way, true)) return;
  }
  state_->Wake();
}

void AsioEventLoop::Defer(Work work) { state_->deferred.push_back(std::move(work)); }

void AsioEventLoop::SetTurnEnd(Work work) { state_->turn_end = std::move(work); }

void AsioEventLoop::SetTick(Duration interval, Work work) {
  state_->tick_interval = interval;
  state_->tick = std::move(work);
  state_->WaitForTick();
}

bool AsioEventLoop::Watch(int descriptor, SocketWatcher& watcher, Interest interest) {
  epoll_event event{.events = EventsOf(interest), .data = {.ptr = &watcher}};
  return epoll_ctl(state_->sockets.native_handle(), EPOLL_CTL_ADD, descriptor, &event) == 0;
}

void AsioEventLoop::ChangeInterest(int descriptor, SocketWatcher& watcher, Interest interest) {
  epoll_event event{.events = EventsOf(interest), .data = {.ptr = &watcher}};
  MUSTER_CHECK(epoll_ctl(state_->sockets.native_handle(), EPOLL_CTL_MOD, descriptor, &event) == 0);
}

void AsioEventLoop::Forget(int descriptor) {
  epoll_ctl(state_->sockets.native_handle(), EPOLL_CTL_DEL, descriptor, nullptr);
}

}  // namespace muster
