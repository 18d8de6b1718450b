#include "api/grpc_status.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "api/deadlines.h"
#include "api/query.h"
#include "base/encoding.h"
#include "domain/proto_writer.h"

namespace muster {

namespace {

constexpr std::size_t kTimeoutDigitsMax = 8;

// When nobody knows better, as Retry-After.
constexpr std::int64_t kRetryAfterMsDefault = 1000;

constexpr std::string_view kTypeUrl = "type.googleapis.com/google.rpc.";

// Messages may carry text of libraries and of the system, which nobody promises to be UTF-8.
std::string Utf8Of(std::string_view text) {
  std::string out(text);
  if (!IsValidUtf8(out)) {
    std::replace_if(out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?');
  }
  return out;
}

// A google.protobuf.Any in the details; what `write` writes is its value.
template <typename Write>
void AppendDetail(ProtoWriter& writer, std::string_view type, Write write) {
  const std::size_t any = writer.Begin(3);
  writer.Text(1, std::string(kTypeUrl).append(type));
  const std::size_t value = writer.Begin(2);
  write();
  writer.End(value);
  writer.End(any);
}

}  // namespace

Result<Duration> ParseGrpcTimeout(std::string_view text, Duration most) {
  struct Unit {
    char letter;
    std::int64_t nanos;
  };
  constexpr std::array<Unit, 6> kUnits = {
      {{'H', 3'600'000'000'000}, {'M', 60'000'000'000}, {'S', 1'000'000'000}, {'m', 1'000'000}, {'u', 1000}, {'n', 1}}};
  const auto unit = std::ranges::find(kUnits, text.empty() ? '\0' : text.back(), &Unit::letter);
  const std::string_view digits = text.substr(0, text.empty() ? 0 : text.size() - 1);
  const auto number = digits.size() <= kTimeoutDigitsMax ? ParseDecimal(digits) : std::nullopt;
  if (unit == kUnits.end() || !number) {
    return FailField("grpc-timeout", "must be at most eight digits and one of H, M, S, m, u, n: 500m");
  }
  const std::int64_t nanos_max = std::chrono::nanoseconds(most).count();
  // What is less than a microsecond is over before it begins, and not for ever.
  if (*number > nanos_max / unit->nanos) return most;
  return Duration(*number * unit->nanos / 1000);
}

void AppendPercentEncoded(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '%') {
      out.push_back(c);
    } else {
      out.append({'%', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
}

void AppendBase64(std::string& out, std::string_view bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    count += 8;
    while (count >= 6) out.push_back(kAlphabet[bits >> (count -= 6) & 63]);
  }
  if (count > 0) out.push_back(kAlphabet[bits << (6 - count) & 63]);
}

void AppendStatus(std::string& out, const Error& error, std::string_view request_id) {
  const ReasonDescription& reason = DescribeReason(error.reason);
  ProtoWriter writer(out);
  writer.Number(1, reason.grpc_code);
  writer.Text(2, Utf8Of(error.message));
  AppendDetail(writer, "ErrorInfo", [&] {
    writer.Text(1, reason.code);
    writer.Text(2, "muster");
    const std::size_t entry = writer.Begin(3);
    writer.Text(1, "request_id");
    writer.Text(2, request_id);
    writer.End(entry);
  });
  if (!error.violations.empty()) {
    AppendDetail(writer, "BadRequest", [&] {
      for (const FieldViolation& violation : error.violations) {
        const std::size_t one = writer.Begin(1);
        writer.Text(1, Utf8Of(ProtoFieldPath(violation.field)));
        writer.Text(2, Utf8Of(violation.description));
        writer.End(one);
      }
    });
  }
  if (reason.retryable) {
    AppendDetail(writer, "RetryInfo", [&] {
      const std::int64_t after_ms = error.retry_after_ms > 0 ? error.retry_after_ms : kRetryAfterMsDefault;
      const std::size_t delay = writer.Begin(1);
      writer.Number(1, after_ms / 1000);
      writer.Number(2, after_ms % 1000 * 1'000'000);
      writer.End(delay);
    });
  }
}

std::string ProtoFieldPath(std::string_view path) {
  constexpr std::string_view kAttributes = "attributes.";
  const std::size_t attributes = path.find(kAttributes);
  const std::size_t names_end = attributes == std::string_view::npos ? path.size() : attributes + kAttributes.size();
  // The name of metadata.
  if (path.substr(0, names_end).find('-') != std::string_view::npos) return std::string(path);
  std::string out;
  for (const char c : path.substr(0, names_end)) {
    if (c >= 'A' && c <= 'Z') {
      out.append({'_', static_cast<char>(c - 'A' + 'a')});
    } else {
      out.push_back(c);
    }
  }
  return out.append(path.substr(names_end));
}

}  // namespace muster
