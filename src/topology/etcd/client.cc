#include "topology/etcd/client.h"

#include <algorithm>
#include <fstream>
#include <thread>
#include <utility>
#include <vector>

#include "topology/etcd/messages.h"

namespace muster::etcd {
namespace {

// google.rpc.Code
constexpr std::int64_t kInvalidArgument = 3;
constexpr std::int64_t kPermissionDenied = 7;
constexpr std::int64_t kFailedPrecondition = 9;
constexpr std::int64_t kUnauthenticated = 16;

}  // namespace

Client::Client(EtcdOptions options, EtcdDependencies dependencies)
    : options_(std::move(options)),
      clock_(*dependencies.clock),
      random_(*dependencies.random),
      http_(
          {.ca_file = options_.ca_file, .certificate_file = options_.certificate_file, .key_file = options_.key_file}) {
}

Result<Answer> Client::Call(std::string_view path, const std::string& body, Effect effect, Deadline deadline) {
  std::vector<Complaint> complaints;
  complaints.reserve(options_.endpoints.size());
  for (const std::string& url : options_.endpoints) {
    complaints.push_back({.cause = Complaint::Cause::kUnreachable, .text = url + ": was not asked, no time was left"});
  }
  bool is_repeated = false;
  Duration rest = kRestMin;
  for (int round = 0; round < kRoundsMax && !deadline.Passed(clock_); ++round) {
    if (round > 0) {
      Rest(rest, deadline);
      rest = std::min(rest * 2, kRestMax);
    }
    const std::size_t first = preferred_.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < options_.endpoints.size() && !deadline.Passed(clock_); ++i) {
      const std::size_t endpoint = (first + i) % options_.endpoints.size();
      // Longer with each round: whoever is slow, and not gone, is given the time in the end.
      const Duration timeout =
          std::chrono::milliseconds(options_.attempt_timeout_ms) * (1 << std::min(round, kDoublingsMax));
      const Deadline attempt(std::min(deadline.at(), clock_.Monotonic() + timeout));
      auto answer = Try(endpoint, path, body, effect, attempt);
      if (answer) {
        preferred_.store(endpoint, std::memory_order_relaxed);
        return Answer{.body = std::move(*answer), .is_repeated = is_repeated};
      }
      Complaint complaint = std::move(answer).error();
      is_repeated = is_repeated || complaint.cause == Complaint::Cause::kSilent;
      if (complaint.is_final()) return Fail(Explain({complaint}, effect, is_repeated));
      // What the deadline cut short says less than what was heard before.
      if (round == 0 || !deadline.Passed(clock_)) complaints[endpoint] = std::move(complaint);
    }
    // Certificates do not mend themselves.
    if (std::ranges::all_of(complaints, [](const auto& each) { return each.cause == Complaint::Cause::kTls; })) break;
  }
  return Fail(Explain(complaints, effect, is_repeated));
}

std::expected<std::string, Client::Complaint> Client::Try(std::size_t endpoint, std::string_view path,
                                                          const std::string& body, Effect effect, Deadline attempt) {
  std::string token = KeptToken();
  if (token.empty() && !options_.user.empty()) {
    auto fresh = Token(endpoint, token, attempt);
    if (!fresh) return std::unexpected(std::move(fresh).error());
    token = std::move(*fresh);
  }
  auto answer = Post(endpoint, path, body, token, effect, attempt);
  if (answer || options_.user.empty() || answer.error().cause != Complaint::Cause::kAccount) return answer;
  // Tokens end: when they are not used for five minutes, and with the accounts' every change.
  auto fresh = Token(endpoint, token, attempt);
  if (!fresh) return std::unexpected(std::move(fresh).error());
  return Post(endpoint, path, body, *fresh, effect, attempt);
}

std::expected<std::string, Client::Complaint> Client::Post(std::size_t endpoint, std::string_view path,
                                                           const std::string& body, const std::string& token,
                                                           Effect effect, Deadline attempt) {
  const std::string& url = options_.endpoints[endpoint];
  auto reply = http_.Post({.url = url + std::string(path),
                           .body = body,
                           .token = token,
                           .timeout = std::chrono::ceil<std::chrono::milliseconds>(attempt.at() - clock_.Monotonic()),
                           .on_fresh_connection = effect == Effect::kChange});
  if (reply && reply->status == 200) return std::move(reply->body);
  Complaint complaint;
  if (reply) {
    complaint = Judge(*reply);
  } else {
    switch (reply.error().kind) {
      case Silence::Kind::kNotSent:
        complaint.cause = Complaint::Cause::kUnreachable;
        break;
      case Silence::Kind::kNoAnswer:
        complaint.cause = Complaint::Cause::kSilent;
        break;
      case Silence::Kind::kTlsRefused:
        complaint.cause = Complaint::Cause::kTls;
        break;
    }
    complaint.text = reply.error().detail;
  }
  complaint.text = url + ": " + complaint.text;
  return std::unexpected(std::move(complaint));
}

Client::Complaint Client::Judge(const Reply& reply) {
  const auto refusal = ParseRefusal(reply.body);
  if (!refusal) {
    return {.cause = Complaint::Cause::kUnreachable,
            .text = "answers " + std::to_string(reply.status) + " and not as etcd's JSON gateway does"};
  }
  // etcd says INVALID_ARGUMENT of a wrong password, and of a request without a token where it wants one.
  const bool is_account = refusal->text.find("user name is empty") != std::string::npos ||
                          refusal->text.find("authentication failed") != std::string::npos;
  switch (refusal->code) {
    case kPermissionDenied:
    case kUnauthenticated:
    case kFailedPrecondition:  // authentication is not enabled
      return {.cause = Complaint::Cause::kAccount, .text = refusal->text};
    case kInvalidArgument:
      return {.cause = is_account ? Complaint::Cause::kAccount : Complaint::Cause::kRequest, .text = refusal->text};
    default:  // no leader, a leader that changed, a request that timed out inside, no space
      return {.cause = Complaint::Cause::kSilent, .text = refusal->text};
  }
}

std::string Client::KeptToken() {
  std::lock_guard lock(token_mutex_);
  return token_;
}

std::expected<std::string, Client::Complaint> Client::Token(std::size_t endpoint, const std::string& known,
                                                            Deadline attempt) {
  {
    std::lock_guard lock(token_mutex_);
    if (token_ != known) return token_;
  }
  std::ifstream file(options_.password_file);
  std::string password;
  if (!std::getline(file, password)) {
    return std::unexpected(Complaint{.cause = Complaint::Cause::kAccount,
                                     .text = "cannot read a password from \"" + options_.password_file + "\""});
  }
  auto answer =
      Post(endpoint, "/v3/auth/authenticate", AuthenticateRequest(options_.user, password), "", Effect::kRead, attempt);
  if (!answer) return std::unexpected(std::move(answer).error());
  auto token = ParseToken(*answer);
  if (!token) {
    return std::unexpected(Complaint{.cause = Complaint::Cause::kRequest, .text = std::move(token).error().message});
  }
  std::lock_guard lock(token_mutex_);
  token_ = *token;
  return token_;
}

Request Client::WatchOf(std::string_view key) {
  return {.url = options_.endpoints[preferred_.load(std::memory_order_relaxed)] + "/v3/watch",
          .body = WatchRequest(key),
          .token = KeptToken(),
          .timeout = std::chrono::milliseconds(options_.attempt_timeout_ms)};
}

bool Client::IsPreferred(const Request& request) const {
  return request.url.starts_with(options_.endpoints[preferred_.load(std::memory_order_relaxed)] + "/");
}

void Client::Avoid(const Request& request) {
  std::size_t preferred = preferred_.load(std::memory_order_relaxed);
  if (!IsPreferred(request)) return;
  preferred_.compare_exchange_strong(preferred, (preferred + 1) % options_.endpoints.size(), std::memory_order_relaxed);
}

void Client::Rest(Duration most, Deadline deadline) {
  const Duration chosen(static_cast<std::int64_t>(random_.Below(static_cast<std::uint64_t>(most.count()))));
  const Duration left = deadline.at() - clock_.Monotonic();
  if (left > Duration(0)) std::this_thread::sleep_for(std::min(chosen, left));
}

Error Client::Explain(const std::vector<Complaint>& complaints, Effect effect, bool is_repeated) const {
  std::string text;
  Complaint::Cause cause = complaints.front().cause;
  for (const Complaint& complaint : complaints) {
    text += (text.empty() ? "" : "; ") + complaint.text;
    // What says most: a voter that was reached and had no answer.
    if (complaint.cause == Complaint::Cause::kSilent) cause = complaint.cause;
    if (complaint.cause == Complaint::Cause::kTls && cause == Complaint::Cause::kUnreachable) cause = complaint.cause;
  }
  std::string advice;
  switch (cause) {
    case Complaint::Cause::kUnreachable:
      advice = "; is etcd running, and are these its addresses?";
      break;
    case Complaint::Cause::kSilent:
      advice =
          "; etcd has no quorum or is too slow: see that a majority of its voters runs and that they reach each other "
          "(`etcdctl endpoint status --cluster`)";
      break;
    case Complaint::Cause::kTls:
      advice = "; check that both sides trust each other's certificates, and that the address is in etcd's";
      break;
    case Complaint::Cause::kAccount:
      advice = "; check etcd's account and password file, and that its role may read and write \"" + options_.prefix +
               "\" and what begins with it";
      break;
    case Complaint::Cause::kRequest:
      break;
  }
  const bool is_unavailable = cause == Complaint::Cause::kUnreachable || cause == Complaint::Cause::kSilent;
  if (effect == Effect::kChange && is_repeated) {
    return {.reason = Reason::kOutcomeUnknown,
            .message = "etcd may or may not have made the change: " + text + advice +
                       ". Read the topology before it is made again"};
  }
  if (!is_unavailable) return {.reason = Reason::kInternal, .message = "etcd refuses: " + text + advice};
  return effect == Effect::kChange
             ? Error{.reason = Reason::kWritesUnavailable,
                     .message = "etcd did not answer: " + text + "; nothing was changed" + advice}
             : Error{.reason = Reason::kStale, .message = "etcd did not answer: " + text + advice};
}

}  // namespace muster::etcd
