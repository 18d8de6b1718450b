#include "bench/grpc_outcome.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/check.h"

namespace muster {

namespace {

constexpr std::size_t kDetailsBytesMax = 8192;
constexpr std::size_t kReasonBytesMax = 40;

constexpr std::array<std::string_view, 17> kStatusNames = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};
constexpr std::array<std::string_view, 8> kRefusals = {"INVALID_ARGUMENT",  "NOT_FOUND",           "ALREADY_EXISTS",
                                                       "PERMISSION_DENIED", "FAILED_PRECONDITION", "OUT_OF_RANGE",
                                                       "UNIMPLEMENTED",     "UNAUTHENTICATED"};

// Standard base64, with padding or without; what is none ends it.
std::string FromBase64(std::string_view text) {
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    int digit = 0;
    if (c >= 'A' && c <= 'Z') {
      digit = c - 'A';
    } else if (c >= 'a' && c <= 'z') {
      digit = c - 'a' + 26;
    } else if (c >= '0' && c <= '9') {
      digit = c - '0' + 52;
    } else if (c == '+' || c == '/') {
      digit = c == '+' ? 62 : 63;
    } else {
      break;
    }
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<char>(bits >> count));
  }
  return bytes;
}

// The reason of the ErrorInfo in a google.rpc.Status: the first field of the message behind its type's name. Both
// lengths are below 128 wherever muster's own errors are.
std::string_view ReasonIn(std::string_view status) {
  constexpr std::string_view kType = "google.rpc.ErrorInfo";
  const std::size_t type = status.find(kType);
  if (type == std::string_view::npos) return {};
  const std::string_view value = status.substr(type + kType.size());
  if (value.size() < 4 || value[0] != 0x12 || value[2] != 0x0a) return {};
  const std::string_view reason = value.substr(4, static_cast<unsigned char>(value[3]));
  const bool is_name =
      std::ranges::all_of(reason, [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; });
  return is_name && reason.size() <= kReasonBytesMax ? reason : std::string_view();
}

}  // namespace

std::string_view GrpcStatusName(std::string_view status) {
  std::size_t number = kStatusNames.size();
  if (status.size() == 1 && status[0] >= '0' && status[0] <= '9') number = static_cast<std::size_t>(status[0] - '0');
  if (status.size() == 2 && status[0] == '1' && status[1] >= '0' && status[1] <= '6') {
    number = 10 + static_cast<std::size_t>(status[1] - '0');
  }
  return number < kStatusNames.size() ? kStatusNames[number] : "UNKNOWN";
}

bool IsGrpcRefusal(std::string_view code) {
  return std::ranges::find(kRefusals, code.substr(0, code.find(' '))) != kRefusals.end();
}

void GrpcOutcomeReader::Deleter::operator()(nghttp2_hd_inflater* inflater) const { nghttp2_hd_inflate_del(inflater); }

GrpcOutcomeReader::GrpcOutcomeReader() { Reset(); }
GrpcOutcomeReader::~GrpcOutcomeReader() = default;

void GrpcOutcomeReader::Reset() {
  nghttp2_hd_inflater* made = nullptr;
  MUSTER_CHECK(nghttp2_hd_inflate_new(&made) == 0);
  inflater_.reset(made);
}

bool GrpcOutcomeReader::Read(std::string_view block) {
  status_.clear();
  details_.clear();
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(block.data());
  std::size_t left = block.size();
  while (true) {
    nghttp2_nv field{};
    int flags = 0;
    const ssize_t used = nghttp2_hd_inflate_hd2(inflater_.get(), &field, &flags, bytes, left, 1);
    if (used < 0) return false;
    bytes += used;
    left -= static_cast<std::size_t>(used);
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      const std::string_view name(reinterpret_cast<const char*>(field.name), field.namelen);
      const std::string_view value(reinterpret_cast<const char*>(field.value), field.valuelen);
      if (name == "grpc-status") {
        status_.assign(value.substr(0, 2));
      } else if (name == "grpc-status-details-bin") {
        details_.assign(value.substr(0, kDetailsBytesMax));
      }
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0 && left == 0) break;
  }
  return nghttp2_hd_inflate_end_headers(inflater_.get()) == 0;
}

std::string_view GrpcOutcomeReader::code() {
  if (status_.empty()) return "no grpc-status";
  code_.assign(GrpcStatusName(status_));
  const std::string details = FromBase64(details_);
  if (const std::string_view reason = ReasonIn(details); !reason.empty()) code_.append(" ").append(reason);
  return code_;
}

}  // namespace muster
