#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "domain/ports/member_reader.h"

namespace muster {

// A source for tests of routes: remembers what it was asked, and answers when the test says so, or at once.
class RecordingReader final : public MemberReader {
 public:
  struct Call {
    std::optional<MemberId> id;  // Get
    IdentityKey key;             // Resolve
    ReadOptions options;
  };

  // What the test keeps; outlives the reader, which the tree owns.
  struct Log {
    std::vector<Call> calls;
    std::vector<MemberReply> replies;                  // of `calls`, empty once answered
    std::optional<Result<MemberAnswer>> at_once = {};  // answers every call during the call

    void Answer(std::size_t call, Result<MemberAnswer> answer) {
      MUSTER_CHECK(call < replies.size() && replies[call]);
      std::exchange(replies[call], nullptr)(std::move(answer));
    }
  };

  explicit RecordingReader(Log& log) : log_(log) {}

  void Get(MemberId id, const ReadOptions& options, MemberReply reply) override {
    Record({.id = id, .key = {}, .options = options}, std::move(reply));
  }
  void Resolve(const IdentityKey& key, const ReadOptions& options, MemberReply reply) override {
    Record({.id = {}, .key = key, .options = options}, std::move(reply));
  }
  RouteDescription Describe() const override {
    return {.name = "store", .policy = "reads", .counters = {{"reads", log_.calls.size()}}, .children = {}};
  }

 private:
  void Record(Call call, MemberReply reply) {
    log_.calls.push_back(std::move(call));
    if (log_.at_once) {
      log_.replies.emplace_back();
      reply(*log_.at_once);
    } else {
      log_.replies.push_back(std::move(reply));
    }
  }

  Log& log_;
};

// The place where a reply arrives.
struct Received {
  std::vector<Result<MemberAnswer>> answers;

  MemberReply Reply() {
    return [this](Result<MemberAnswer> answer) { answers.push_back(std::move(answer)); };
  }
};

}  // namespace muster
