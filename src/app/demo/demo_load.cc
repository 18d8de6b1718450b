#include "app/demo/demo_load.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace muster {
namespace {

constexpr std::array<const char*, 6> kCities = {"Suzhou", "Shanghai", "Hangzhou", "Chengdu", "Osaka", "Leeds"};
// Nobody asks for the window while nothing shows it; older latencies are then dropped.
constexpr std::size_t kLatenciesMax = 100'000;

double Milliseconds(Duration duration) { return static_cast<double>(duration.count()) / 1000; }

}  // namespace

DemoLoad::DemoLoad(const Options& options, HttpClientOptions server, const SyntheticMembers& synthetic,
                   std::vector<MemberId> members, const Clock& clock)
    : options_(options),
      client_(std::move(server)),
      synthetic_(synthetic),
      members_(std::move(members)),
      clock_(clock),
      random_(options.seed),
      window_start_(clock.Monotonic()) {}

DemoLoad::~DemoLoad() { Stop(); }

void DemoLoad::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void DemoLoad::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool DemoLoad::WaitUntil(Instant then) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, std::max(then - clock_.Monotonic(), Duration{0}), [this] { return stopping_; });
}

void DemoLoad::Loop() {
  const Duration interval = Duration(std::chrono::seconds(1)) / options_.requests_a_second;
  for (Instant next = clock_.Monotonic(); WaitUntil(next); next = std::max(next + interval, clock_.Monotonic()))
    SendOne();
}

void DemoLoad::SendOne() {
  // Log-uniform, so that each index is about as popular as in Zipf's law: some members are hot.
  const double uniform = static_cast<double>(random_.Next() >> 11) * 0x1p-53;
  const auto index = static_cast<std::uint64_t>(std::pow(static_cast<double>(members_.size()), uniform)) - 1;
  const std::string id = std::to_string(members_[index].value());
  const std::uint64_t dice = random_.Below(100);
  HttpClient::Request request{.path = "/v1/members/" + id};
  std::string body;
  if (dice >= 95) {
    body = std::string(R"({"city":")") + kCities[random_.Below(kCities.size())] + "\"}";
    request.method = "PATCH";
    request.path += "?updateMask=city";
    request.body = body;
  } else if (dice >= 70) {
    request.path = "/v1/members:resolve?kind=phone&value=" + EscapeUrl(synthetic_.PhoneOf(index));
  }
  const Instant begun = clock_.Monotonic();
  const auto reply = client_.Send(request);
  const Duration latency = clock_.Monotonic() - begun;
  bool is_near = false;
  if (reply) {
    const auto source = reply->headers.find("x-muster-source");
    is_near = source != reply->headers.end() && source->second == "near";
  }
  Record(reply && reply->ok(), dice < 95, is_near, latency);
}

void DemoLoad::Record(bool ok, bool is_read, bool is_near, Duration latency) {
  std::lock_guard lock(mutex_);
  ++window_.requests;
  window_.failures += ok ? 0 : 1;
  window_.reads += is_read ? 1 : 0;
  window_.near_hits += is_read && is_near ? 1 : 0;
  if (latencies_.size() < kLatenciesMax) latencies_.push_back(latency);
}

DemoLoad::Window DemoLoad::TakeWindow() {
  std::lock_guard lock(mutex_);
  Window window = std::exchange(window_, {});
  const Instant now = clock_.Monotonic();
  window.seconds = std::chrono::duration<double>(now - std::exchange(window_start_, now)).count();
  if (!latencies_.empty()) {
    std::ranges::sort(latencies_);
    window.p50 = latencies_[latencies_.size() / 2];
    window.p99 = latencies_[latencies_.size() * 99 / 100];
    latencies_.clear();
  }
  return window;
}

std::string DemoLoad::Describe(const Window& window) {
  const double rate = window.seconds > 0 ? static_cast<double>(window.requests) / window.seconds : 0;
  const double hits =
      window.reads > 0 ? 100 * static_cast<double>(window.near_hits) / static_cast<double>(window.reads) : 0;
  std::string line = fmt::format("{:.0f} requests/s, p50 {:.2f} ms, p99 {:.2f} ms, near cache {:.0f} %", rate,
                                 Milliseconds(window.p50), Milliseconds(window.p99), hits);
  if (window.failures > 0) line += fmt::format(", {} failed", window.failures);
  return line;
}

}  // namespace muster
