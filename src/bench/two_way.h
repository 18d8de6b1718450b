#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace muster {

// Keeps account of things that a load does and undoes, such as binding an account: answers say which can be done next,
// so that the load asks for nothing that would be refused.
//
//   open ──Next──► under way ──Settle──► done ──Next──► under way ──Settle──► open
//                      └── refused: as before, three times in a row; not answered: left alone from then on
class TwoWay {
 public:
  static constexpr std::uint8_t kRefusalsMax = 3;

  // `count` things, all of them open.
  explicit TwoWay(std::size_t count);

  struct Step {
    std::uint32_t thing = 0;
    bool undoes = false;
  };
  // Takes the one that has waited for the longest; the other way round when there is none. None at all: all are under
  // way, or left alone.
  std::optional<Step> Next(bool undoes);
  enum class Outcome : std::uint8_t { kDone, kRefused, kUnknown };
  void Settle(const Step& step, Outcome outcome);

 private:
  std::deque<std::uint32_t> open_;
  std::deque<std::uint32_t> done_;
  std::vector<std::uint8_t> refusals_;  // in a row
};

}  // namespace muster
