#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "api/http_chunked.h"
#include "api/http_parser.h"

namespace muster {

// Cuts a connection's bytes into requests. Keeps nothing of a request that arrives in one piece.
class HttpRequestReader {
 public:
  // `limits` has to outlive the reader.
  explicit HttpRequestReader(const HttpLimits& limits) : limits_(limits) {}

  // `input` begins with the first byte that is not consumed yet, `consumed` says how much of it is done with (on
  // kIncomplete too). On kComplete `head.request` is whole, its views are into `input` and this reader, and Forget has
  // to be called when it was dealt with. After kRejected there is no next request; `head.request` is as ParseHttpHead
  // leaves it.
  //
  // With `safe_only` a request whose method is not safe is not begun with: kPostponed, and nothing is consumed.
  HttpParse Next(std::string_view input, HttpHead& head, std::size_t& consumed, HttpRejection& rejection,
                 bool safe_only = false);
  // What is known of a request whose rest will not be waited for: `head.request` gets method and headers when its head
  // is whole, else nothing.
  void Recall(std::string_view input, HttpHead& head) const;
  void Forget() { chunked_.reset(); }

  // The head of the next request is read, its body is not there yet.
  bool in_body() const { return in_body_; }
  // What it keeps of a request that has not arrived whole.
  std::size_t held_bytes() const { return chunked_ == nullptr ? 0 : chunked_->head.size() + chunked_->body.size(); }
  // The client waits for 100 Continue before it sends the body. Answers true once a request.
  bool TakeContinue() { return std::exchange(owes_continue_, false); }

 private:
  struct Chunked {
    explicit Chunked(const HttpLimits& limits) : decoder(limits) {}
    std::string head;  // kept until the body is whole, and parsed again then
    std::string body;
    ChunkedDecoder decoder;
  };

  HttpParse NextChunked(std::string_view input, HttpHead& head, std::size_t& consumed, HttpRejection& rejection);
  void BeginBody(const HttpHead& head, bool body_has_begun);

  const HttpLimits& limits_;
  std::unique_ptr<Chunked> chunked_;
  std::size_t whole_ = 0;  // bytes of head and body together, when that is known
  bool in_body_ = false;
  bool owes_continue_ = false;
};

}  // namespace muster
