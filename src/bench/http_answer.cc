#include "bench/http_answer.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace muster {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";

// `lower` is in lower case.
bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  return std::ranges::equal(text, lower, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool ParseNumber(std::string_view text, int base, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() && end == text.data() + text.size() && number <= INT64_MAX;
}

// The value of the member `code` in a problem document, without reading the rest of it.
std::string_view CodeIn(std::string_view problem) {
  static constexpr std::string_view kName = "\"code\"";
  const std::size_t at = problem.find(kName);
  if (at == std::string_view::npos) return {};
  const std::size_t begin = problem.find('"', at + kName.size());
  const std::size_t end = begin == std::string_view::npos ? begin : problem.find('"', begin + 1);
  if (end == std::string_view::npos || end - begin - 1 > HttpAnswerReader::kCodeBytesMax) return {};
  const std::string_view code = problem.substr(begin + 1, end - begin - 1);
  const bool is_code = std::ranges::all_of(code, [](char c) { return (c >= 'A' && c <= 'Z') || c == '_'; });
  return is_code ? code : std::string_view();
}

}  // namespace

HttpAnswerReader::State HttpAnswerReader::Take(std::string_view& input) {
  while (true) {
    const Phase before = phase_;
    State state = State::kMore;
    switch (phase_) {
      case Phase::kHead:
        state = TakeHead(input);
        break;
      case Phase::kBody:
        state = TakeBody(input);
        break;
      default:
        state = TakeChunked(input);
        break;
    }
    if (state != State::kMore || (input.empty() && phase_ == before)) return state;
    if (input.empty() && !(phase_ == Phase::kBody && body_left_ == 0)) return state;
  }
}

HttpAnswerReader::State HttpAnswerReader::TakeHead(std::string_view& input) {
  if (partial_.empty()) {
    const std::size_t end = input.find(kHeadEnd);
    if (end != std::string_view::npos && end <= kHeadBytesMax) {
      const std::string_view head = input.substr(0, end);
      input.remove_prefix(end + kHeadEnd.size());
      return ReadHead(head) ? State::kMore : State::kMalformed;
    }
  }
  // The end may lie across what is kept and what has come.
  const std::size_t searched = partial_.size() < 3 ? 0 : partial_.size() - 3;
  const std::size_t kept = partial_.size();
  partial_.append(input.substr(0, kHeadBytesMax + kHeadEnd.size()));
  const std::size_t end = partial_.find(kHeadEnd, searched);
  if (end == std::string::npos || end > kHeadBytesMax) {
    input = {};
    return partial_.size() > kHeadBytesMax ? State::kMalformed : State::kMore;
  }
  input.remove_prefix(end + kHeadEnd.size() - kept);
  const std::string whole = std::exchange(partial_, std::string()).substr(0, end);
  return ReadHead(whole) ? State::kMore : State::kMalformed;
}

bool HttpAnswerReader::ReadHead(std::string_view head) {
  const bool is_status_line = head.size() >= 12 && head.starts_with("HTTP/1.") && head[8] == ' ';
  std::uint64_t status = 0;
  if (!is_status_line || !ParseNumber(head.substr(9, 3), 10, status) || status < 100) return false;
  status_ = static_cast<int>(status);
  closes_ = head[7] == '0';
  code_.clear();
  error_text_.clear();
  bool has_length = false;
  bool is_chunked = false;
  body_left_ = 0;
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos;) {
    const std::size_t begin = at + 2;
    at = head.find("\r\n", begin);
    const std::string_view line = head.substr(begin, at == std::string_view::npos ? at : at - begin);
    // Only names of these lengths are of interest.
    const std::size_t colon = line.find(':');
    if (colon != 14 && colon != 17 && colon != 10) continue;
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = Trimmed(line.substr(colon + 1));
    if (EqualsIgnoringCase(name, "content-length")) {
      has_length = true;
      if (!ParseNumber(value, 10, body_left_)) return false;
    } else if (EqualsIgnoringCase(name, "transfer-encoding")) {
      is_chunked = EqualsIgnoringCase(value, "chunked");
      if (!is_chunked) return false;
    } else if (EqualsIgnoringCase(name, "connection")) {
      closes_ = closes_ || EqualsIgnoringCase(value, "close");
    }
  }
  if (status_ < 200) {
    phase_ = Phase::kHead;
    return status_ != 101;
  }
  if (status_ == 204 || status_ == 304) {
    body_left_ = 0;
    has_length = true;
    is_chunked = false;
  }
  phase_ = is_chunked ? Phase::kChunkSize : Phase::kBody;
  return has_length || is_chunked;
}

HttpAnswerReader::State HttpAnswerReader::TakeBody(std::string_view& input) {
  const std::size_t here = std::min<std::uint64_t>(body_left_, input.size());
  KeepErrorText(input.substr(0, here));
  input.remove_prefix(here);
  body_left_ -= here;
  return body_left_ == 0 ? Complete() : State::kMore;
}

bool HttpAnswerReader::TakeLine(std::string_view& input, std::string& line, State& state) {
  const std::size_t feed = input.find('\n');
  partial_.append(input.substr(0, std::min(feed, kHeadBytesMax)));
  input.remove_prefix(feed == std::string_view::npos ? input.size() : feed + 1);
  if (partial_.size() >= kHeadBytesMax) {
    state = State::kMalformed;
    return false;
  }
  if (feed == std::string_view::npos) return false;
  line = std::exchange(partial_, std::string());
  if (line.ends_with('\r')) line.pop_back();
  return true;
}

HttpAnswerReader::State HttpAnswerReader::TakeChunked(std::string_view& input) {
  State state = State::kMore;
  if (phase_ == Phase::kChunkData) {
    const std::size_t here = std::min<std::uint64_t>(body_left_, input.size());
    KeepErrorText(input.substr(0, here));
    input.remove_prefix(here);
    body_left_ -= here;
    if (body_left_ == 0) phase_ = Phase::kChunkEnd;
    return state;
  }
  std::string line;
  if (!TakeLine(input, line, state)) return state;
  if (phase_ == Phase::kTrailer) return line.empty() ? Complete() : State::kMore;
  if (phase_ == Phase::kChunkEnd) {
    phase_ = Phase::kChunkSize;
    return line.empty() ? State::kMore : State::kMalformed;
  }
  const std::string_view size = Trimmed(std::string_view(line).substr(0, line.find(';')));
  if (!ParseNumber(size, 16, body_left_)) return State::kMalformed;
  phase_ = body_left_ == 0 ? Phase::kTrailer : Phase::kChunkData;
  return state;
}

void HttpAnswerReader::KeepErrorText(std::string_view body) {
  if (status_ < 400 || error_text_.size() >= kErrorBytesMax) return;
  error_text_.append(body.substr(0, kErrorBytesMax - error_text_.size()));
}

HttpAnswerReader::State HttpAnswerReader::Complete() {
  phase_ = Phase::kHead;
  if (!error_text_.empty()) code_ = CodeIn(error_text_);
  return State::kComplete;
}

}  // namespace muster
