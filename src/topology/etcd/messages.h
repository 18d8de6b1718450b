#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

// The messages of etcd's JSON gateway that the topology needs: 64-bit integers are strings, bytes are base64, what is
// zero or false is left out (etcd's Documentation/dev-guide/api_grpc_gateway.md).
namespace muster::etcd {

struct KeyValue {
  std::string value = {};
  std::int64_t create_revision = 0;
  std::int64_t mod_revision = 0;
  std::int64_t version = 0;  // how often it was put since it was created
};

// RFC 4648 with padding. Decoding is empty-handed when it is none.
std::string ToBase64(std::string_view bytes);
std::optional<std::string> FromBase64(std::string_view text);

// Linearizable, which is the default of a range.
std::string RangeRequest(std::string_view key);
Result<std::optional<KeyValue>> ParseRange(std::string_view answer);

// Puts both keys if the first one still has `mod_revision` (0: is absent); else reads both.
struct Swap {
  std::string_view key;
  std::int64_t mod_revision = 0;
  std::string_view value;
  std::string_view author_key;
  std::string_view author;
};
struct SwapAnswer {
  bool is_done = false;
  std::optional<KeyValue> current;  // what is there instead, unless it is done
  std::optional<KeyValue> author;
};
std::string SwapRequest(const Swap& swap);
Result<SwapAnswer> ParseSwap(std::string_view answer);

// Puts a key, and reads all that begin with `prefix`, in one transaction.
std::string ExchangeRequest(std::string_view key, std::string_view value, std::string_view prefix);
Result<std::vector<std::string>> ParseExchange(std::string_view answer);

std::string WatchRequest(std::string_view key);

std::string AuthenticateRequest(std::string_view user, std::string_view password);
Result<std::string> ParseToken(std::string_view answer);

// A refusal: google.rpc.Code and its text. Nothing when it is not one of etcd's.
struct Refusal {
  std::int64_t code = 0;
  std::string text;
};
std::optional<Refusal> ParseRefusal(std::string_view answer);

}  // namespace muster::etcd
