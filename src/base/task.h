#pragma once

#include <coroutine>
#include <functional>
#include <optional>
#include <utility>

#include "base/check.h"

namespace muster {

// A coroutine that computes a T, begun by the first co_await (or by Start). It runs on whichever thread resumes what it
// waits for. Destroying a Task that has not finished destroys its frame and all that it awaits below it: that is how a
// simulation crashes a process.
//
// Use it where a protocol has several remote steps and wants to be read from top to bottom. The read path uses plain
// callbacks instead: a cache hit must not allocate.
template <typename T>
class [[nodiscard]] Task {
 public:
  struct promise_type {
    std::optional<T> value;
    std::coroutine_handle<> continuation;

    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct Resume {
        bool await_ready() noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) noexcept {
          auto next = self.promise().continuation;
          return next ? next : std::noop_coroutine();
        }
        void await_resume() noexcept {}
      };
      return Resume{};
    }
    template <typename U>
    void return_value(U&& result) {
      value.emplace(std::forward<U>(result));
    }
    [[noreturn]] void unhandled_exception() { MUSTER_UNREACHABLE("an exception left a Task"); }
  };

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) noexcept {
    handle_.promise().continuation = waiting;
    return handle_;
  }
  T await_resume() { return std::move(*handle_.promise().value); }

  // Begins a task that nobody awaits and keeps its frame: the owner asks done() and takes the value.
  void Start() { handle_.resume(); }
  bool done() const { return handle_.done(); }
  T TakeValue() { return std::move(*handle_.promise().value); }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

namespace task_internal {
struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    [[noreturn]] void unhandled_exception() { MUSTER_UNREACHABLE("an exception left a detached Task"); }
  };
};
}  // namespace task_internal

// Runs a task to its end and gives its value to `done`; the frame frees itself. Whoever calls this has to make sure
// that what the task refers to outlives it (servers do: they drain before they destroy).
template <typename T, typename Done>
task_internal::Detached Spawn(Task<T> task, Done done) {
  done(co_await std::move(task));
}

// Turns a function that takes a completion callback into something to co_await:
//   Result<int> x = co_await Callback<Result<int>>([&](auto done) { store.Run(shard, fn, std::move(done)); });
// The callback may be called during the call or later, from any thread, once. Each call during the call nests in the
// stack until the coroutine waits for something: bound loops of such calls (about a thousand is safe).
template <typename T>
class Callback {
 public:
  using Done = std::move_only_function<void(T)>;
  explicit Callback(std::move_only_function<void(Done)> begin) : begin_(std::move(begin)) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    // The callback may destroy this object (the coroutine runs on and ends): nothing of it is touched after begin_
    // began.
    auto begin = std::move(begin_);
    begin([this, waiting](T value) {
      value_.emplace(std::move(value));
      waiting.resume();
    });
  }
  T await_resume() { return std::move(*value_); }

 private:
  std::move_only_function<void(Done)> begin_;
  std::optional<T> value_;
};

}  // namespace muster
