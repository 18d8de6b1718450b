#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster::failover {

// What one server reaches: its word in the question whether a center is lost.
struct ObserverReport {
  std::string observer = {};  // its name, unique over all servers
  std::string center = {};
  std::int64_t sequence = 0;              // raised with each; who starts again begins with a random one
  bool controls = false;                  // it may be the controller
  std::vector<std::string> reaches = {};  // databases that answered it just now, sorted
  // Of the controller: which databases have obeyed none of its orders for long, in words; the first kRefusalsMax.
  std::vector<std::string> refusals = {};
  friend bool operator==(const ObserverReport&, const ObserverReport&) = default;
};

// JSON on one line. Parsing is strict, as of the topology: INTERNAL for what is not understood.
std::string RenderReport(const ObserverReport& report);
Result<ObserverReport> ParseReport(std::string_view text);

// Where all servers read each other's newest report; with the topology, so that who reaches a majority reads those of
// all others who do. Nothing is promised about how new what is read is: each reader judges that by whether a sequence
// moves on under his own clock. For one thread.
class ObserverBoard {
 public:
  virtual ~ObserverBoard() = default;
  // Puts `own` in the place of its last one, and answers what is there then. STALE: nobody answered.
  virtual Result<std::vector<ObserverReport>> Exchange(const ObserverReport& own) = 0;
};

inline constexpr std::size_t kRefusalsMax = 8;
// Observers on a board: more are refused.
inline constexpr std::size_t kObserversMax = 256;

}  // namespace muster::failover
