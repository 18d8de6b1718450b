#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/calls.h"
#include "api/member_json.h"
#include "base/clock.h"
#include "domain/ports/member_writer.h"

namespace muster {

// The lines of one import request on their way into the store. Lines are read on the loop and written many at a time,
// so that they share the store's commits; what becomes of each is noted on whichever thread it comes back on.
//
//   Start ──► Fill (loop): read and begin lines until `window` are under way ◄─┐
//               └──► a line comes back (any thread) ──── when half have done ─┘
//                        └──── the last one ──► Finish (loop)
//
// Destroyed after `finished` was called on the loop, or after the Calls, whose destructor waits for the lines under
// way.
class ImportBatch {
 public:
  static constexpr std::uint32_t kWindowMax = 1024;
  static constexpr std::size_t kLinesMax = 10'000;

  struct Reject {
    std::uint64_t line = 0;
    Error error;
  };
  struct Outcome {
    std::uint64_t imported = 0;
    std::uint64_t was_in = 0;           // of them in already
    std::vector<Reject> rejects;        // in the order of lines
    std::optional<Error> interruption;  // a failure that may pass: the whole batch is to be sent again
  };
  using Finished = std::move_only_function<void(Call& call, Outcome outcome)>;

  struct Position {
    std::int64_t range_start = 0;  // operation n of the range is line n of the file
    std::uint64_t first_line = 1;  // of the body
  };
  struct Parts {
    MemberJson& json;
    MemberWriter& writer;
    Calls& calls;
    std::uint32_t window;  // lines under way at a time, from 1 to kWindowMax
  };
  ImportBatch(Call& call, std::string_view body, Position position, const Parts& parts, Timestamp now,
              Finished finished);

  void Start() { Fill(); }
  const Call& call() const { return call_; }

 private:
  void Fill();
  void Begin(std::string_view text, std::uint64_t line);
  void NoteResult(std::uint64_t line, Result<ImportedMember> result);
  void NoteFailure(std::uint64_t line, Error error);
  void Release();
  void Finish();

  Call& call_;
  std::string body_;  // with the parser's padding
  std::string_view rest_;
  const Position position_;
  std::uint64_t next_line_;
  MemberJson& json_;
  MemberWriter& writer_;
  Calls& calls_;
  const std::uint32_t window_;
  const std::uint32_t refill_every_;  // at most the window, or Fill would not be called again
  const Timestamp now_;
  Finished finished_;

  // Every line under way holds the batch, and so does a Fill; a line that calls for a Fill hands its hold over to it.
  std::atomic<std::uint32_t> holds_{1};
  std::atomic<std::uint32_t> returned_{0};
  std::atomic<std::uint64_t> imported_{0};
  std::atomic<std::uint64_t> was_in_{0};
  std::atomic<bool> interrupted_{false};
  std::mutex mutex_;
  std::vector<Reject> rejects_;        // guarded by mutex_
  std::optional<Error> interruption_;  // guarded by mutex_
};

}  // namespace muster
