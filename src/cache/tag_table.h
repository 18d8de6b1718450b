#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/random.h"

namespace muster {

// A fixed number of (tag, value) pairs of 64 bits each, four to a cache line; a full line forgets its pairs in turn.
// For what may be forgotten and is small. Does not own its memory, which must be zero at the beginning. Not
// thread-safe.
class TagTable {
 public:
  struct Pair {
    std::uint64_t tag = 0;
    std::uint64_t value = 0;  // tag and value both 0: free
  };
  struct alignas(64) Line {
    std::array<Pair, 4> pairs;
  };

  TagTable() = default;
  explicit TagTable(std::span<Line> lines) : lines_(lines) {}

  // The value last put under `tag`, whatever it was.
  std::optional<std::uint64_t> Find(std::uint64_t hash, std::uint64_t tag) const {
    for (const Pair& pair : LineOf(hash).pairs) {
      if (pair.tag == tag && pair.value != 0) return pair.value;
    }
    return std::nullopt;
  }

  bool Contains(std::uint64_t hash, const Pair& wanted) const {
    for (const Pair& pair : LineOf(hash).pairs) {
      if (pair.tag == wanted.tag && pair.value == wanted.value) return true;
    }
    return false;
  }

  // One value for each tag.
  void Put(std::uint64_t hash, const Pair& pair) {
    Line& line = LineOf(hash);
    for (Pair& present : line.pairs) {
      if (present.tag == pair.tag && present.value != 0) {
        present.value = pair.value;
        return;
      }
    }
    Take(line) = pair;
  }

  // Tag and value together are what is remembered.
  void Add(std::uint64_t hash, const Pair& pair) {
    if (!Contains(hash, pair)) Take(LineOf(hash)) = pair;
  }

  void Remove(std::uint64_t hash, const Pair& wanted) {
    for (Pair& pair : LineOf(hash).pairs) {
      if (pair.tag == wanted.tag && pair.value == wanted.value) Clear(pair);
    }
  }

  void RemoveTag(std::uint64_t hash, std::uint64_t tag) {
    for (Pair& pair : LineOf(hash).pairs) {
      if (pair.tag == tag && pair.value != 0) Clear(pair);
    }
  }

  std::size_t size() const { return size_; }
  std::uint64_t forgotten() const { return forgotten_; }

 private:
  // The low half of the hash chooses the line, by multiplication, so that any number of lines will do.
  std::size_t IndexOf(std::uint64_t hash) const {
    return static_cast<std::size_t>(((hash & 0xFFFF'FFFF) * lines_.size()) >> 32);
  }
  Line& LineOf(std::uint64_t hash) { return lines_[IndexOf(hash)]; }
  const Line& LineOf(std::uint64_t hash) const { return lines_[IndexOf(hash)]; }

  Pair& Take(Line& line) {
    for (Pair& pair : line.pairs) {
      if (pair.tag == 0 && pair.value == 0) {
        ++size_;
        return pair;
      }
    }
    return line.pairs[forgotten_++ % line.pairs.size()];
  }

  void Clear(Pair& pair) {
    pair = {};
    --size_;
  }

  std::span<Line> lines_;
  std::size_t size_ = 0;
  std::uint64_t forgotten_ = 0;
};

}  // namespace muster
