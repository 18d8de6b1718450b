#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "cache/redis/fault.h"

struct redisReply;
struct redisReader;

namespace muster::redis {

// What a server answered; looked at without copying. A part of an array is valid as long as the whole.
class ReplyView {
 public:
  explicit ReplyView(const redisReply* reply) : reply_(reply) {}

  bool is_nil() const;
  bool is_error() const;
  std::optional<std::string_view> text() const;  // of a bulk or simple string
  std::optional<std::int64_t> integer() const;
  std::size_t size() const;  // of an array; else 0
  ReplyView at(std::size_t index) const;
  Failure failure() const;  // of an error

 private:
  const redisReply* reply_;
};

// A whole answer, owned.
class Reply {
 public:
  explicit Reply(redisReply* reply) : reply_(reply) {}
  ReplyView view() const { return ReplyView(reply_.get()); }

 private:
  struct Free {
    void operator()(redisReply* reply) const;
  };
  std::unique_ptr<redisReply, Free> reply_;
};

// An answer that is no error, or why there is none.
using Outcome = std::expected<Reply, Failure>;
using OutcomeReply = std::move_only_function<void(Outcome)>;

// Takes the bytes of a connection apart into answers (hiredis).
class ReplyParser {
 public:
  ReplyParser();
  ~ReplyParser();
  ReplyParser(const ReplyParser&) = delete;

  // False: not the protocol, or an answer larger than kReplyBytesMax. The connection is of no use any more.
  bool Feed(std::string_view bytes);
  // The next whole answer; empty: there is none yet. An error: see Feed.
  std::expected<std::optional<Reply>, Fault> Next();

  static constexpr std::size_t kReplyBytesMax = std::size_t{64} << 20;

 private:
  struct FreeReader {
    void operator()(redisReader* reader) const;
  };
  std::unique_ptr<redisReader, FreeReader> reader_;
};

}  // namespace muster::redis
