#include "app/client/event_stream.h"

namespace muster {

bool EventStreamReader::Read(std::string_view bytes, const std::function<bool(const ServerSentEvent&)>& take) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    if (partial_.size() + bytes.substr(0, end).size() > kLineBytesMax) return false;
    if (end == std::string_view::npos) {
      partial_.append(bytes);
      return true;
    }
    bool goes_on = true;
    if (partial_.empty()) {
      goes_on = TakeLine(bytes.substr(0, end), take);
    } else {
      partial_.append(bytes.substr(0, end));
      goes_on = TakeLine(partial_, take);
      partial_.clear();
    }
    if (!goes_on) return true;
    bytes.remove_prefix(end + 1);
  }
  return true;
}

bool EventStreamReader::TakeLine(std::string_view line, const std::function<bool(const ServerSentEvent&)>& take) {
  if (line.empty()) {
    last_id_ = id_;
    const bool goes_on = data_.empty() || take({.name = name_, .data = data_});
    name_.clear();
    data_.clear();
    return goes_on;
  }
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "id") id_ = value;
  if (field == "event") name_ = value;
  if (field == "data") data_ = value;
  return true;
}

void EventStreamReader::Reset() {
  partial_.clear();
  name_.clear();
  data_.clear();
  id_ = last_id_;
}

}  // namespace muster
