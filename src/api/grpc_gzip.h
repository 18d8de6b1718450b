#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace muster {

// Messages as `grpc-encoding: gzip` has them. Not thread-safe: one for each loop; what zlib needs (about 300 KiB for
// both directions) is taken with the first message and kept.
class GrpcGzip {
 public:
  GrpcGzip();
  ~GrpcGzip();
  GrpcGzip(const GrpcGzip&) = delete;
  GrpcGzip& operator=(const GrpcGzip&) = delete;

  // INVALID_ARGUMENT when `packed` is not one whole gzip text, BODY_TOO_LARGE when it holds more than `bytes_max`, as
  // soon as that is seen. The view holds until the next call.
  Result<std::string_view> Unpack(std::string_view packed, std::size_t bytes_max);
  // Appends `plain`, packed.
  void Pack(std::string_view plain, std::string& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace muster
