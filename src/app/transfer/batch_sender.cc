#include "app/transfer/batch_sender.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>

#include "app/client/problem.h"
#include "base/error.h"

namespace muster {
namespace {

constexpr int kBodyTooLarge = 413;

bool MayPass(const HttpReply& reply) { return reply.status == 429 || reply.status >= 500; }

Duration RetryAfter(const HttpReply& reply) {
  const auto header = reply.headers.find("retry-after");
  std::int64_t seconds = 0;
  if (header != reply.headers.end()) {
    std::from_chars(header->second.data(), header->second.data() + header->second.size(), seconds);
  }
  return std::chrono::seconds(std::clamp<std::int64_t>(seconds, 0, 60));
}

// The `index`-th line (from 0) of `text`, without its line feed.
std::string LineOf(std::string_view text, std::uint64_t index) {
  std::size_t begin = 0;
  for (; index > 0; --index) {
    begin = text.find('\n', begin);
    if (begin == std::string_view::npos) return "";
    ++begin;
  }
  std::string_view line = text.substr(begin, text.find('\n', begin) - begin);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return std::string(line);
}

// Where the line after the first `lines` begins.
std::size_t OffsetOfLine(std::string_view text, std::uint64_t lines) {
  std::size_t begin = 0;
  for (; lines > 0; --lines) begin = text.find('\n', begin) + 1;
  return begin;
}

}  // namespace

void Interruption::Set() {
  {
    std::lock_guard lock(mutex_);
    is_set_ = true;
  }
  changed_.notify_all();
}

bool Interruption::IsSet() {
  std::lock_guard lock(mutex_);
  return is_set_;
}

bool Interruption::WaitFor(Duration duration) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, duration, [this] { return is_set_; });
}

Outcome<BatchAnswer> BatchSender::Send(const LineBatch& batch, std::int64_t range_start,
                                       std::uint64_t lines_before_range) {
  BatchAnswer answer;
  if (batch.is_too_long) {
    answer.rejects.push_back({.line = batch.first_line,
                              .code = std::string(DescribeReason(Reason::kBodyTooLarge).code),
                              .detail = "the line is longer than any request may be",
                              .text = batch.text});
    return answer;
  }
  MUSTER_TRY(SendPart({.text = batch.text, .first_line = batch.first_line, .lines = batch.lines}, range_start,
                      lines_before_range, answer));
  return answer;
}

// A batch without lines, which the server only takes when it gave the range.
Outcome<bool> BatchSender::Knows(std::int64_t range_start) {
  MUSTER_ASSIGN(const HttpReply reply, SendWithRetries({}, range_start, 0));
  if (reply.ok()) return true;
  if (ProblemBlames(reply, "rangeStart")) return false;
  return std::unexpected(DescribeRefusal(reply));
}

Outcome<void> BatchSender::SendPart(const Part& part, std::int64_t range_start, std::uint64_t lines_before_range,
                                    BatchAnswer& answer) {
  MUSTER_ASSIGN(const HttpReply reply, SendWithRetries(part, range_start, lines_before_range));
  if (reply.status == kBodyTooLarge && part.lines > 1) {
    const std::uint64_t half = part.lines / 2;
    const std::size_t middle = OffsetOfLine(part.text, half);
    MUSTER_TRY(SendPart({part.text.substr(0, middle), part.first_line, half}, range_start, lines_before_range, answer));
    return SendPart({part.text.substr(middle), part.first_line + half, part.lines - half}, range_start,
                    lines_before_range, answer);
  }
  if (reply.status == kBodyTooLarge) {
    answer.rejects.push_back({.line = part.first_line,
                              .code = std::string(DescribeReason(Reason::kBodyTooLarge).code),
                              .detail = "the line is longer than the server takes (admin.body.max)",
                              .text = LineOf(part.text, 0)});
    return {};
  }
  if (!reply.ok()) return std::unexpected(DescribeRefusal(reply));

  simdjson::dom::parser parser;
  simdjson::dom::element root;
  simdjson::dom::array results;
  std::uint64_t imported = 0;
  std::uint64_t already_in = 0;
  const auto parsed = parser.parse(simdjson::padded_string(reply.body)).get(root);
  if (parsed != simdjson::SUCCESS || root["imported"].get(imported) != simdjson::SUCCESS ||
      root["alreadyIn"].get(already_in) != simdjson::SUCCESS) {
    return Fails(ExitCode::kFailure,
                 "the server's answer to an import is not what was expected; is it a muster server of this version?");
  }
  answer.imported += imported;
  answer.already_in += already_in;
  if (root["results"].get(results) != simdjson::SUCCESS) return {};
  for (const simdjson::dom::element result : results) {
    std::uint64_t line = 0;
    std::string_view code;
    std::string_view detail;
    if (result["line"].get(line) != simdjson::SUCCESS || result["code"].get(code) != simdjson::SUCCESS) continue;
    if (result["detail"].get(detail) != simdjson::SUCCESS) detail = "";
    line += lines_before_range;
    answer.rejects.push_back({.line = line,
                              .code = std::string(code),
                              .detail = std::string(detail),
                              .text = line >= part.first_line ? LineOf(part.text, line - part.first_line) : ""});
  }
  return {};
}

Outcome<HttpReply> BatchSender::SendWithRetries(const Part& part, std::int64_t range_start,
                                                std::uint64_t lines_before_range) {
  return Retry([&] { return service_.Send(range_start, part.first_line - lines_before_range, part.text); });
}

Outcome<std::int64_t> BatchSender::Reserve(std::uint64_t lines) {
  MUSTER_ASSIGN(const HttpReply reply, Retry([&] { return service_.Reserve(lines); }));
  if (!reply.ok()) return std::unexpected(DescribeRefusal(reply));
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  std::string_view text;
  std::int64_t start = 0;
  if (parser.parse(simdjson::padded_string(reply.body)).get(root) != simdjson::SUCCESS ||
      root["rangeStart"].get(text) != simdjson::SUCCESS ||
      std::from_chars(text.data(), text.data() + text.size(), start).ec != std::errc()) {
    return Fails(ExitCode::kFailure, "the server reserved numbers but did not answer them as expected");
  }
  return start;
}

Outcome<HttpReply> BatchSender::Retry(const std::function<Outcome<HttpReply>()>& send) {
  Duration delay = policy_.first_delay;
  for (int attempt = 1;; ++attempt) {
    auto reply = send();
    if (reply && !MayPass(*reply)) return reply;
    const bool is_last = attempt >= policy_.attempts_max;
    if (is_last && reply) return std::unexpected(Failure{ExitCode::kUnavailable, DescribeRefusal(*reply).message});
    if (is_last) return reply;
    if (interruption_.WaitFor(std::max(delay, reply ? RetryAfter(*reply) : Duration{0}))) {
      return Fails(ExitCode::kUnavailable, "the import was given up");
    }
    delay = std::min(delay * 2, policy_.delay_max);
  }
}

}  // namespace muster
