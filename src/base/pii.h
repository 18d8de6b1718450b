#pragma once

#include <utility>

namespace muster {

// A personal value. It compares, moves and copies as its content does, but cannot be printed, logged or formatted:
// `operator<<` is deleted and there is no fmt::formatter, so a log line that would contain one does not compile.
// Reveal() is the one way to the content, and is easy to search for.
template <typename T>
class Pii {
 public:
  Pii() = default;
  explicit Pii(T value) : value_(std::move(value)) {}

  const T& Reveal() const { return value_; }
  bool empty() const { return value_.empty(); }

  friend bool operator==(const Pii&, const Pii&) = default;

  template <typename Stream>
  friend Stream& operator<<(Stream&, const Pii&) = delete;

 private:
  T value_{};
};

}  // namespace muster
