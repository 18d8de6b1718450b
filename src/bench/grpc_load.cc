// A closed-loop gRPC load generator: C connections on one thread, each keeping S unary calls of
// muster.v1.MemberService/GetMember under way, counting answers for some seconds. The client is that of `muster bench`
// without its schedule and its measuring, so that one core of it saturates one core of a server. One JSON object on
// stdout: {"requests":…,"seconds":…,"per_second":…,"errors":…}.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/random.h"
#include "bench/grpc_channel.h"

namespace {

using namespace muster;

constexpr BenchTime kOpenMax = std::chrono::seconds(10);

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "grpc_load: %s\n", what.c_str());
  std::_Exit(1);
}

struct Settings {
  std::string port;
  std::uint32_t connections = 4;
  std::uint32_t streams = 16;
  double seconds = 3;
  std::uint64_t members = 1;
  std::string key;
};

Settings ReadSettings(int argc, char** argv) {
  Settings settings;
  const auto number = [](const char* value) { return static_cast<std::uint32_t>(std::strtoul(value, nullptr, 10)); };
  const std::map<std::string_view, std::function<void(const char*)>> flags = {
      {"--port", [&](const char* value) { settings.port = value; }},
      {"--connections", [&](const char* value) { settings.connections = number(value); }},
      {"--streams", [&](const char* value) { settings.streams = number(value); }},
      {"--seconds", [&](const char* value) { settings.seconds = std::strtod(value, nullptr); }},
      {"--members", [&](const char* value) { settings.members = std::strtoull(value, nullptr, 10); }},
      {"--key-file", [&](const char* value) { std::getline(std::ifstream(value), settings.key); }}};
  for (int i = 1; i < argc; i += 2) {
    const auto flag = flags.find(argv[i]);
    if (flag == flags.end() || i + 1 == argc) Die(std::string("unknown or incomplete flag ") + argv[i]);
    flag->second(argv[i + 1]);
  }
  if (settings.port.empty() || settings.members == 0 || settings.connections == 0 || settings.streams == 0) {
    Die("needs --port, and at least one member, connection and stream");
  }
  return settings;
}

struct Counts final : LoadAnswerSink {
  void OnAnswer(const LoadAnswer& answer) override {
    ++answers;
    if (!answer.is_success) ++errors;
  }
  std::uint64_t answers = 0;
  std::uint64_t errors = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const Settings settings = ReadSettings(argc, argv);
  auto target = ResolveHttpTarget("http://127.0.0.1:" + settings.port);
  if (!target) Die(target.error().message);
  auto made = MakeGrpcTransport(
      {.target = *target, .key = settings.key, .connections = settings.connections, .depth = settings.streams});
  if (!made) Die(made.error().message);
  LoadTransport& transport = **made;
  transport.Open(transport.Now() + kOpenMax);
  SeededRandom random(static_cast<std::uint64_t>(transport.Now().count()));
  Counts counts;
  const BenchTime begin = transport.Now();
  const BenchTime end = begin + std::chrono::duration_cast<BenchTime>(std::chrono::duration<double>(settings.seconds));
  BenchTime now = begin;
  for (; now < end; now = transport.Now()) {
    if (transport.state() == LoadTransport::State::kDown) Die("no connection to the server");
    while (transport.state() == LoadTransport::State::kReady) {
      const MemberId id(static_cast<std::int64_t>(1 + random.Below(settings.members)));
      transport.Send({.verb = LoadVerb::kGet, .ids = {&id, 1}}, 0);
    }
    transport.Poll(end, counts);
  }
  const double seconds = std::chrono::duration<double>(now - begin).count();
  std::printf("{\"requests\":%llu,\"seconds\":%.3f,\"per_second\":%.0f,\"errors\":%llu}\n",
              static_cast<unsigned long long>(counts.answers), seconds, static_cast<double>(counts.answers) / seconds,
              static_cast<unsigned long long>(counts.errors));
}
