#include "api/http.h"

#include "api/http_text.h"
#include "base/check.h"

namespace muster {

std::string_view HttpRequest::Header(std::string_view name) const {
  for (const HttpHeader& header : headers) {
    if (EqualsIgnoringCase(header.name, name)) return header.value;
  }
  return {};
}

HttpExchange& HttpExchange::operator=(HttpExchange&& other) noexcept {
  if (this != &other) {
    if (sink_ != nullptr) Abandon();
    sink_ = std::exchange(other.sink_, nullptr);
    ticket_ = other.ticket_;
  }
  return *this;
}

void HttpExchange::Send(const Reply& reply) {
  MUSTER_CHECK(sink_ != nullptr);
  Sink* const sink = std::exchange(sink_, nullptr);
  sink->Answer(ticket_, reply);
  sink->RemoveReference();
}

void HttpExchange::Stream(const Reply& head, std::unique_ptr<HttpSource> source) {
  MUSTER_CHECK(sink_ != nullptr);
  Sink* const sink = std::exchange(sink_, nullptr);
  sink->Stream(ticket_, head, std::move(source));
  sink->RemoveReference();
}

Result<void> HttpExchange::Hold(std::size_t bytes) {
  MUSTER_CHECK(sink_ != nullptr);
  if (bytes <= ticket_.held_bytes) return {};
  MUSTER_TRY(sink_->Hold(bytes, bytes - ticket_.held_bytes));
  ticket_.held_bytes = bytes;
  return {};
}

void HttpExchange::Abandon() {
  Sink* const sink = std::exchange(sink_, nullptr);
  sink->Abandon(ticket_);
  sink->RemoveReference();
}

}  // namespace muster
