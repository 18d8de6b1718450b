#include "cache/redis/reply.h"

#include <hiredis/hiredis.h>

#include <optional>

#include "base/check.h"

namespace muster::redis {

bool ReplyView::is_nil() const { return reply_->type == REDIS_REPLY_NIL; }
bool ReplyView::is_error() const { return reply_->type == REDIS_REPLY_ERROR; }

std::optional<std::string_view> ReplyView::text() const {
  if (reply_->type != REDIS_REPLY_STRING && reply_->type != REDIS_REPLY_STATUS) return std::nullopt;
  return std::string_view(reply_->str, reply_->len);
}

std::optional<std::int64_t> ReplyView::integer() const {
  if (reply_->type != REDIS_REPLY_INTEGER) return std::nullopt;
  return reply_->integer;
}

std::size_t ReplyView::size() const { return reply_->type == REDIS_REPLY_ARRAY ? reply_->elements : 0; }

ReplyView ReplyView::at(std::size_t index) const {
  MUSTER_CHECK(index < size());
  return ReplyView(reply_->element[index]);
}

Failure ReplyView::failure() const {
  MUSTER_CHECK(is_error());
  return FailureOf({reply_->str, reply_->len});
}

void Reply::Free::operator()(redisReply* reply) const { freeReplyObject(reply); }

void ReplyParser::FreeReader::operator()(redisReader* reader) const { redisReaderFree(reader); }

ReplyParser::ReplyParser() : reader_(redisReaderCreate()) { MUSTER_CHECK(reader_ != nullptr); }
ReplyParser::~ReplyParser() = default;

bool ReplyParser::Feed(std::string_view bytes) {
  if (reader_->len - reader_->pos > kReplyBytesMax) return false;
  return redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) == REDIS_OK;
}

std::expected<std::optional<Reply>, Fault> ReplyParser::Next() {
  void* reply = nullptr;
  if (redisReaderGetReply(reader_.get(), &reply) != REDIS_OK) return std::unexpected(Fault::kMalformed);
  if (reply == nullptr) return std::nullopt;
  return Reply(static_cast<redisReply*>(reply));
}

}  // namespace muster::redis
