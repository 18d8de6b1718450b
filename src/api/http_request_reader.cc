#include "api/http_request_reader.h"

#include "base/check.h"

namespace muster {

HttpParse HttpRequestReader::Next(std::string_view input, HttpHead& head, std::size_t& consumed,
                                  HttpRejection& rejection, bool safe_only) {
  consumed = 0;
  if (chunked_ != nullptr) return NextChunked(input, head, consumed, rejection);
  if (input.size() < whole_) return HttpParse::kIncomplete;
  if (const HttpParse parse = ParseHttpHead(input, limits_, head, rejection); parse != HttpParse::kComplete)
    return parse;
  if (safe_only && !IsSafe(head.request.method)) return HttpParse::kPostponed;
  if (head.chunked) {
    chunked_ = std::make_unique<Chunked>(limits_);
    chunked_->head = input.substr(0, head.size);
    BeginBody(head, input.size() > head.size);
    std::size_t of_body = 0;
    const HttpParse parse = NextChunked(input.substr(head.size), head, of_body, rejection);
    consumed = head.size + of_body;
    return parse;
  }
  const std::size_t whole = head.size + head.content_length;
  if (input.size() < whole) {
    whole_ = whole;
    BeginBody(head, input.size() > head.size);
    return HttpParse::kIncomplete;
  }
  whole_ = 0;
  in_body_ = false;
  owes_continue_ = false;
  head.request.body = input.substr(head.size, head.content_length);
  consumed = whole;
  return HttpParse::kComplete;
}

HttpParse HttpRequestReader::NextChunked(std::string_view input, HttpHead& head, std::size_t& consumed,
                                         HttpRejection& rejection) {
  const HttpParse parse = chunked_->decoder.Feed(input, chunked_->body, consumed, rejection);
  if (parse == HttpParse::kRejected) Recall({}, head);
  if (parse != HttpParse::kComplete) return parse;
  in_body_ = false;
  owes_continue_ = false;
  const HttpParse again = ParseHttpHead(chunked_->head, limits_, head, rejection);
  MUSTER_CHECK(again == HttpParse::kComplete);
  head.request.body = chunked_->body;
  return parse;
}

void HttpRequestReader::Recall(std::string_view input, HttpHead& head) const {
  HttpRequest known;
  HttpRejection ignored;
  if (in_body_ &&
      ParseHttpHead(chunked_ == nullptr ? input : chunked_->head, limits_, head, ignored) == HttpParse::kComplete) {
    known.method = head.request.method;
    known.headers = head.request.headers;
  }
  head.request = known;
}

void HttpRequestReader::BeginBody(const HttpHead& head, bool body_has_begun) {
  in_body_ = true;
  // A client that has begun with the body does not wait (RFC 9110 section 10.1.1).
  owes_continue_ = head.expects_continue && !body_has_begun;
}

}  // namespace muster
