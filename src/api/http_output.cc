#include "api/http_output.h"

#include <algorithm>
#include <utility>

namespace muster {

void HttpOutput::Unpark() {
  while (true) {
    const auto next = std::ranges::find(parked_, answered_, &Parked::sequence);
    if (next == parked_.end()) break;
    buffer_ += next->text;
    parked_bytes_ -= next->text.size();
    parked_.erase(next);
    ++answered_;
  }
  if (parked_.empty()) std::vector<Parked>().swap(parked_);
}

void HttpOutput::AddLine(std::uint64_t sequence, std::string_view line) {
  const auto found = std::ranges::find(parked_, sequence, &Parked::sequence);
  if (found == parked_.end()) return;
  constexpr std::string_view kLineEnd = "\r\n";
  found->text.insert(found->text.find(kLineEnd) + kLineEnd.size(), line);  // after the status line
  parked_bytes_ += line.size();
}

void HttpOutput::Sent(std::size_t count) {
  sent_ += count;
  MUSTER_CHECK(sent_ <= buffer_.size());
  if (sent_ == buffer_.size()) {
    pool_.Give(std::exchange(buffer_, {}));
    sent_ = 0;
  } else if (sent_ >= buffer_.size() / 2) {
    DropFront(buffer_, sent_);
    sent_ = 0;
  }
}

void HttpOutput::Fit() {
  if (!IsOversized(buffer_, buffer_.size() - sent_)) return;
  DropFront(buffer_, sent_);
  sent_ = 0;
}

void HttpOutput::Drop() {
  pool_.Give(std::exchange(buffer_, {}));
  sent_ = 0;
  std::vector<Parked>().swap(parked_);
  parked_bytes_ = 0;
}

}  // namespace muster
