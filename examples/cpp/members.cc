#include "members.h"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "google/rpc/error.pb.h"

namespace {

using std::chrono::milliseconds;

constexpr int kAttemptsMax = 6;
constexpr milliseconds kDeadline(5000);
constexpr milliseconds kBackoffBase(50);
constexpr milliseconds kBackoffMax(2000);

template <typename Detail>
std::optional<Detail> DetailOf(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return std::nullopt;
  for (const google::protobuf::Any& any : details.details()) {
    Detail detail;
    if (any.UnpackTo(&detail)) return detail;
  }
  return std::nullopt;
}

std::string ReasonOf(const grpc::Status& status) {
  const auto info = DetailOf<google::rpc::ErrorInfo>(status);
  return info && info->domain() == "muster" ? info->reason() : "";
}

// How long to wait before the call is repeated, or nothing when that does not help.
std::optional<milliseconds> RetryDelayOf(const Outcome& outcome) {
  if (const auto info = DetailOf<google::rpc::RetryInfo>(outcome.status)) {
    return milliseconds(info->retry_delay().seconds() * 1000 + info->retry_delay().nanos() / 1'000'000);
  }
  if (outcome.reason.empty() && outcome.status.error_code() == grpc::StatusCode::UNAVAILABLE) return milliseconds(0);
  return std::nullopt;
}

}  // namespace

void RetryBudget::OnCall() {
  std::lock_guard lock(mutex_);
  left_ = std::min(kMost, left_ + kShare);
}

bool RetryBudget::Take() {
  std::lock_guard lock(mutex_);
  if (left_ < 1) return false;
  left_ -= 1;
  return true;
}

// On one machine; what leaves it goes through a proxy with TLS.
Members::Members(const std::string& address, std::string key, RetryBudget& budget)
    : stub_(muster::v1::MemberService::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))),
      key_(std::move(key)),
      budget_(budget) {}

Members::Attempts Members::Begin() {
  budget_.OnCall();
  return {std::chrono::system_clock::now() + kDeadline, std::to_string(random_()) + "-" + std::to_string(random_())};
}

void Members::Prepare(grpc::ClientContext& context, const Attempts& attempts) const {
  context.set_deadline(attempts.deadline);
  context.AddMetadata("authorization", "Bearer " + key_);
  context.AddMetadata("idempotency-key", attempts.idempotency_key);  // reads ignore it
}

bool Members::WaitToRepeat(Outcome& outcome, const Attempts& attempts, int attempt) {
  if (outcome.status.ok()) return false;
  outcome.reason = ReasonOf(outcome.status);
  const auto asked = RetryDelayOf(outcome);
  if (!asked || attempt + 1 == kAttemptsMax) return false;
  const auto most = std::min(kBackoffMax, kBackoffBase * (1 << attempt)).count();
  const milliseconds jitter(std::uniform_int_distribution<std::int64_t>(0, most)(random_));
  const milliseconds wait = std::max(*asked, jitter);
  if (std::chrono::system_clock::now() + wait >= attempts.deadline || !budget_.Take()) return false;
  std::this_thread::sleep_for(wait);
  return true;
}
