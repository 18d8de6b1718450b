#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "api/call_ledger.h"
#include "domain/ports/member_reader.h"

namespace muster {

// Of a key that nothing was found for. `reason` is MEMBER_NOT_FOUND or IDENTITY_NOT_FOUND.
inline Error MissingError(Reason reason) {
  return {.reason = reason,
          .message = reason == Reason::kMemberNotFound ? "no member has this id" : "no member holds this identity"};
}

// How large the members in the answer to one batch may be together, as JSON.
inline constexpr std::size_t kBatchAnswerBytesMax = std::size_t{16} << 20;

// The reads of many keys that one call asks for, and what was found for them; used again. `C` is a call of one
// protocol, with an `exchange` that holds; `X` is what its answer needs beside the members. Members are held as they
// come, or dropped once the batch cannot be answered. One loop.
template <typename C, typename X = std::monostate>
class MemberBatches {
 public:
  struct Batch {
    MemberBatches* owner = nullptr;
    C* call = nullptr;
    Reason missing = Reason::kMemberNotFound;
    std::vector<Result<MemberAnswer>> answers;
    std::size_t outstanding = 0;
    std::size_t bytes = 0;         // of the members so far
    std::size_t held_bytes = 0;    // bytes, and something for those to come
    std::optional<Error> refusal;  // why it cannot be answered
    X extra = {};

    // The reply for the key at `index`; two words, so that it is kept in the callback itself.
    auto ReplyAt(std::size_t index) {
      return [this, index](Result<MemberAnswer> answer) {
        TakeReply(*this, index, std::move(answer));
        owner->FinishOne(*this);
      };
    }
    // The answer that may be the oldest; null when no key was answered.
    const MemberAnswer* Oldest() const {
      const MemberAnswer* oldest = nullptr;
      for (const Result<MemberAnswer>& answer : answers) {
        if (answer && (oldest == nullptr || answer->age > oldest->age)) oldest = &*answer;
      }
      return oldest;
    }
  };

  // `finish` answers the batch's call, with its answers or its refusal.
  MemberBatches(CallLedger& ledger, std::function<void(Batch&)> finish) : ledger_(ledger), finish_(std::move(finish)) {}

  // OVERLOADED. Counts one outstanding more than there are keys, so that replies which come during the calls do not
  // finish it too early; the starter's own FinishOne takes that one away.
  Result<Batch*> Start(C& call, Reason missing, std::size_t size) {
    MUSTER_TRY(ledger_.Hold(call, size * kKeyBytes));
    MUSTER_TRY(call.exchange->Hold(kHoldBytes));
    if (idle_.empty()) {
      batches_.push_back(std::make_unique<Batch>());
      idle_.push_back(batches_.back().get());
    }
    Batch& batch = *idle_.back();
    idle_.pop_back();
    batch.owner = this;
    batch.call = &call;
    batch.missing = missing;
    batch.answers.resize(size);
    batch.outstanding = size + 1;
    batch.bytes = 0;
    batch.held_bytes = kHoldBytes;
    batch.refusal.reset();
    batch.extra = {};
    return &batch;
  }

  void FinishOne(Batch& batch) {
    if (--batch.outstanding > 0) return;
    LogFailure(batch);
    finish_(batch);
    batch.answers.clear();
    idle_.push_back(&batch);
  }

 private:
  // The call as a whole succeeds, so nothing else tells of a key that muster itself failed for. One line a batch.
  void LogFailure(const Batch& batch) {
    const auto is_ours = [](const Result<MemberAnswer>& answer) {
      return !answer && answer.error().reason == Reason::kInternal;
    };
    const auto failed = std::ranges::find_if(batch.answers, is_ours);
    if (failed != batch.answers.end()) ledger_.LogFailure(*batch.call, failed->error().message);
  }

  // What one key of a batch under way takes, about: its answer, and the reader's part.
  static constexpr std::size_t kKeyBytes = 256;
  // In such steps room is asked for the members of a batch.
  static constexpr std::size_t kHoldBytes = std::size_t{64} << 10;

  static void TakeReply(Batch& batch, std::size_t index, Result<MemberAnswer> answer) {
    if (batch.refusal) return;
    if (answer && answer->member) {
      batch.bytes += answer->member->json().size();
      if (batch.bytes > kBatchAnswerBytesMax) {
        batch.refusal = Error{.reason = Reason::kInvalidArgument,
                              .message = "the answer would be larger than 16 MiB; ask for fewer members"};
      } else if (batch.bytes > batch.held_bytes) {
        batch.held_bytes = batch.bytes + kHoldBytes;
        if (Result<void> held = batch.call->exchange->Hold(batch.held_bytes); !held) {
          batch.refusal = std::move(held).error();
        }
      }
      if (batch.refusal) return batch.answers.clear();
    }
    batch.answers[index] = std::move(answer);
  }

  CallLedger& ledger_;
  const std::function<void(Batch&)> finish_;
  std::vector<std::unique_ptr<Batch>> batches_;
  std::vector<Batch*> idle_;
};

}  // namespace muster
