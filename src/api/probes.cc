#include "api/probes.h"

#include <algorithm>

namespace muster {

namespace {

constexpr std::string_view kText = "text/plain; charset=utf-8";
constexpr std::string_view kExposition = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace

void Probes::Answer(Calls& calls, Call& call, std::string_view query) const {
  if (call.rpc == Rpc::kReady) return AnswerReady(calls, call, query.starts_with("verbose"));
  calls.StartHead(call);
  if (call.rpc == Rpc::kLive) return calls.Answer(call, 200, kText, "live\n");
  calls.Answer(call, 200, kExposition, *metrics_.ExposeShared(clock_.Monotonic(), exposition_age_max_));
}

void Probes::AnswerReady(Calls& calls, Call& call, bool verbose) const {
  const std::vector<ReadinessCheck> checks = readiness_();
  const bool ready = std::ranges::all_of(checks, &ReadinessCheck::ready);
  std::string& head = calls.StartHead(call);
  std::string& body = calls.StartBody();
  for (const ReadinessCheck& check : checks) {
    if (check.ready && !verbose) continue;
    body.append(check.ready ? "[+] " : "[-] ").append(check.name);
    body.append(check.ready ? ": ok\n" : ": " + check.detail + "\n");
  }
  body.append(ready ? "ready\n" : "not ready\n");
  if (ready) return calls.Answer(call, 200, kText, body);
  head.append("Retry-After: 1\r\n");
  calls.Answer(call, 503, kText, body, Reason::kOverloaded);
}

}  // namespace muster
