#pragma once

#include <memory>
#include <string>
#include <string_view>

struct nghttp2_hd_inflater;

namespace muster {

// Reads the header blocks of one connection's answers for how its calls ended.
class GrpcOutcomeReader {
 public:
  GrpcOutcomeReader();
  ~GrpcOutcomeReader();
  GrpcOutcomeReader(const GrpcOutcomeReader&) = delete;
  GrpcOutcomeReader& operator=(const GrpcOutcomeReader&) = delete;

  // On a new connection the table is empty.
  void Reset();
  // Every block has to be read, in the order in which they came. False: it is none.
  bool Read(std::string_view block);

  // What the last block says.
  bool is_success() const { return status_ == "0"; }
  // "UNAVAILABLE OVERLOADED": the status, and the reason of its ErrorInfo, if there is one; "no grpc-status" without.
  std::string_view code();

 private:
  struct Deleter {
    void operator()(nghttp2_hd_inflater* inflater) const;
  };
  std::unique_ptr<nghttp2_hd_inflater, Deleter> inflater_;
  std::string status_;
  std::string details_;  // base64
  std::string code_;
};

// "UNAVAILABLE", of "14".
std::string_view GrpcStatusName(std::string_view status);
// Whether a failure of that code is one of the request, which would fail again.
bool IsGrpcRefusal(std::string_view code);

}  // namespace muster
