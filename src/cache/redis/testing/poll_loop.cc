#include "cache/redis/testing/poll_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <utility>

#include "base/check.h"

namespace muster::testing {
namespace {

std::uint32_t EventsOf(SocketLoop::Interest interest) {
  return (interest.read ? std::uint32_t{EPOLLIN} : 0U) | (interest.write ? std::uint32_t{EPOLLOUT} : 0U);
}

}  // namespace

PollLoop::PollLoop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  MUSTER_CHECK(epoll_ >= 0 && wake_ >= 0 && ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) == 0);
}

PollLoop::~PollLoop() {
  ::close(wake_);
  ::close(epoll_);
}

void PollLoop::Post(Work work) {
  const std::uint64_t one = 1;
  std::lock_guard lock(mutex_);
  posted_.push_back(std::move(work));
  MUSTER_CHECK(::write(wake_, &one, sizeof one) == sizeof one);
}

bool PollLoop::Watch(int descriptor, SocketWatcher& watcher, Interest interest) {
  epoll_event event{.events = EventsOf(interest), .data = {.ptr = &watcher}};
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

void PollLoop::ChangeInterest(int descriptor, SocketWatcher& watcher, Interest interest) {
  epoll_event event{.events = EventsOf(interest), .data = {.ptr = &watcher}};
  MUSTER_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_MOD, descriptor, &event) == 0);
}

void PollLoop::Forget(int descriptor) { ::epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr); }

void PollLoop::RunTurn(Duration wait) {
  std::array<epoll_event, 64> ready;
  const auto wait_ms = std::chrono::ceil<std::chrono::milliseconds>(deferred_.empty() ? wait : Duration(0)).count();
  const int count = ::epoll_wait(epoll_, ready.data(), ready.size(), static_cast<int>(wait_ms));
  std::deque<Work> posted;
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = ready[static_cast<std::size_t>(i)];
    if (event.data.ptr == nullptr) {
      std::uint64_t times = 0;
      std::lock_guard lock(mutex_);
      MUSTER_CHECK(::read(wake_, &times, sizeof times) == sizeof times);
      posted.swap(posted_);
    } else {
      static_cast<SocketWatcher*>(event.data.ptr)
          ->OnReady({.readable = (event.events & EPOLLIN) != 0,
                     .writable = (event.events & EPOLLOUT) != 0,
                     .broken = (event.events & (EPOLLERR | EPOLLHUP)) != 0});
    }
  }
  for (Work& work : posted) work();
  for (auto deferred = std::exchange(deferred_, {}); Work & work : deferred) work();
}

bool PollLoop::RunUntil(const std::function<bool()>& done) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > until) return false;
    RunTurn(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace muster::testing
