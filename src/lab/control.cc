#include "lab/control.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <list>
#include <system_error>
#include <thread>
#include <utility>

#include "base/encoding.h"
#include "base/thread_name.h"
#include "domain/json_writer.h"
#include "lab/descriptor.h"
#include "topology/topology_json.h"

namespace muster::lab {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kTalkPatience{5'000};
constexpr std::size_t kArgumentsMax = 16;
constexpr std::string_view kSucceeded = "OK";
constexpr mode_t kSocketMode = 0600;

// Names of such sockets have a hundred bytes; a directory that is open has a short one.
struct SocketPlace {
  Descriptor directory;
  sockaddr_un address{};
};

Result<SocketPlace> PlaceOf(const std::string& directory) {
  SocketPlace place{.directory = Descriptor(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC))};
  if (!place.directory) return Fail(Reason::kNotFound, "there is no directory " + directory);
  const std::string path = "/proc/self/fd/" + std::to_string(place.directory.number()) + "/control";
  place.address.sun_family = AF_UNIX;
  std::memcpy(place.address.sun_path, path.c_str(), path.size() + 1);
  return place;
}

milliseconds LeftUntil(steady_clock::time_point until) {
  return std::max(std::chrono::ceil<milliseconds>(until - steady_clock::now()), milliseconds(0));
}

// A line, without its end; empty: none came.
std::string ReadLine(int socket, steady_clock::time_point until) {
  std::string line;
  std::array<char, 4096> buffer{};
  while (line.size() < kControlLineBytesMax) {
    pollfd waiting{.fd = socket, .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, static_cast<int>(LeftUntil(until).count())) <= 0) return {};
    const ssize_t size = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (size <= 0) return {};
    line.append(buffer.data(), static_cast<std::size_t>(size));
    if (const std::size_t end = line.find('\n'); end != std::string::npos) return line.substr(0, end);
  }
  return {};
}

bool WriteLine(int socket, std::string_view line, steady_clock::time_point until) {
  while (!line.empty()) {
    const ssize_t size = ::send(socket, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size > 0) {
      line.remove_prefix(static_cast<std::size_t>(size));
      continue;
    }
    if (errno != EAGAIN) return false;
    pollfd waiting{.fd = socket, .events = POLLOUT, .revents = 0};
    if (::poll(&waiting, 1, static_cast<int>(LeftUntil(until).count())) <= 0) return false;
  }
  return true;
}

Reason ReasonOf(std::string_view code) {
  for (const ReasonDescription& reason : AllReasons()) {
    if (reason.code == code) return reason.reason;
  }
  return Reason::kInternal;
}

class SocketControlServer final : public ControlServer {
 public:
  SocketControlServer(Descriptor listener, Handler handler, Logger& logger)
      : listener_(std::move(listener)),
        wake_(::eventfd(0, EFD_CLOEXEC)),
        handler_(std::move(handler)),
        logger_(logger),
        thread_([this] { Run(); }) {
    NameThread(thread_, "lab-control");
  }

  ~SocketControlServer() override {
    is_over_ = true;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t size = ::write(wake_.number(), &one, sizeof one);
    thread_.join();
  }

 private:
  struct Talk {
    std::thread thread = {};
    std::atomic<bool> is_over{false};
  };

  void Run() {
    while (!is_over_) {
      std::array<pollfd, 2> waiting = {{{.fd = wake_.number(), .events = POLLIN, .revents = 0},
                                        {.fd = listener_.number(), .events = POLLIN, .revents = 0}}};
      ::poll(waiting.data(), waiting.size(), -1);
      if (is_over_) break;
      Descriptor client(::accept4(listener_.number(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!client) continue;
      JoinWhatIsOver();
      if (talks_.size() >= kRequestsAtATime) {
        const Error busy{.reason = Reason::kOverloaded, .message = "the lab is busy with other requests; try again"};
        WriteLine(client.number(), RenderReply(std::unexpected(busy)), steady_clock::now() + milliseconds(100));
        continue;
      }
      Talk& talk = talks_.emplace_back();
      talk.thread = std::thread([this, &talk, client = std::move(client)] {
        Serve(client.number());
        talk.is_over = true;
      });
    }
    for (Talk& talk : talks_) talk.thread.join();
  }

  void JoinWhatIsOver() {
    for (auto at = talks_.begin(); at != talks_.end();) {
      if (!at->is_over) {
        ++at;
        continue;
      }
      at->thread.join();
      at = talks_.erase(at);
    }
  }

  void Serve(int client) {
    const std::string line = ReadLine(client, steady_clock::now() + kTalkPatience);
    if (line.empty()) return;
    const Result<ControlRequest> request = ParseRequest(line);
    const Result<std::string> reply = request ? handler_(*request) : Result<std::string>(Fail(request.error()));
    if (request) {
      logger_.Info("a request", {{"verb", request->verb}, {"code", reply ? kSucceeded : reply.error().code()}});
    }
    WriteLine(client, RenderReply(reply), steady_clock::now() + kTalkPatience);
  }

  const Descriptor listener_;
  const Descriptor wake_;
  const Handler handler_;
  Logger& logger_;
  std::list<Talk> talks_;  // of the thread
  std::atomic<bool> is_over_{false};
  std::thread thread_;
};

}  // namespace

std::string RenderRequest(const ControlRequest& request) {
  std::string line;
  JsonWriter json(line);
  json.BeginObject();
  json.Key("verb").String(request.verb);
  json.Key("arguments").BeginArray();
  for (const std::string& argument : request.arguments) json.String(argument);
  json.EndArray();
  json.EndObject();
  return line + "\n";
}

std::string RenderReply(const Result<std::string>& reply) {
  std::string line;
  JsonWriter json(line);
  json.BeginObject();
  json.Key("code").String(reply ? kSucceeded : reply.error().code());
  json.Key("message").String(reply ? std::string_view() : std::string_view(reply.error().message));
  json.Key("data").String(reply ? std::string_view(*reply) : std::string_view());
  json.EndObject();
  return line + "\n";
}

Result<ControlRequest> ParseRequest(std::string_view line) {
  ControlRequest request;
  StrictJson json("the request", line);
  const Result<void> read = json.Read({"verb", "arguments"}, [&](std::string_view name, StrictJson::Value& value) {
    if (name == "verb") return json.ReadText(value, name, request.verb);
    return json.ReadArray(value, name, [&](StrictJson::Value& element) -> Result<void> {
      if (request.arguments.size() == kArgumentsMax) return Fail(Reason::kInvalidArgument, "too many arguments");
      return json.ReadText(element, name, request.arguments.emplace_back());
    });
  });
  if (!read) return Fail(Reason::kInvalidArgument, read.error().message);
  return request;
}

Result<std::string> ParseReply(std::string_view line) {
  std::string code, message, data;
  StrictJson json("the lab's answer", line);
  MUSTER_TRY(json.Read({"code", "message", "data"}, [&](std::string_view name, StrictJson::Value& value) {
    if (name == "code") return json.ReadText(value, name, code);
    return json.ReadText(value, name, name == "message" ? message : data);
  }));
  if (code == kSucceeded) return data;
  return Fail(ReasonOf(code), message);
}

Result<std::unique_ptr<ControlServer>> ControlServer::Start(const std::string& directory, Handler handler,
                                                            Logger& logger) {
  MUSTER_ASSIGN(const SocketPlace place, PlaceOf(directory));
  ::unlink(place.address.sun_path);  // of a supervisor that was killed: this one has the lock
  Descriptor listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const bool is_bound =
      ::bind(listener.number(), reinterpret_cast<const sockaddr*>(&place.address), sizeof place.address) == 0 &&
      ::chmod(place.address.sun_path, kSocketMode) == 0 && ::listen(listener.number(), SOMAXCONN) == 0;
  if (!is_bound) {
    return Fail(Reason::kInternal,
                "cannot listen on " + directory + "/control: " + std::generic_category().message(errno));
  }
  return std::make_unique<SocketControlServer>(std::move(listener), std::move(handler), logger);
}

Result<std::string> AskLab(const std::string& directory, const ControlRequest& request, Duration patience) {
  const auto until = steady_clock::now() + patience;
  const Error none{.reason = Reason::kNotFound,
                   .message = "no lab is running in " + directory +
                              "; start one with `muster lab up`, or name its "
                              "directory with --dir"};
  for (const std::string& argument : request.arguments) {
    if (!IsValidUtf8(argument)) return Fail(Reason::kInvalidArgument, "an argument is no text in UTF-8");
  }
  const Result<SocketPlace> place = PlaceOf(directory);
  if (!place) return Fail(none);
  const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(socket.number(), reinterpret_cast<const sockaddr*>(&place->address), sizeof place->address) != 0) {
    return Fail(none);
  }
  const std::string line =
      WriteLine(socket.number(), RenderRequest(request), until) ? ReadLine(socket.number(), until) : std::string();
  if (!line.empty()) return ParseReply(line);
  return Fail(Reason::kDeadlineExceeded, "the lab in " + directory + " does not answer; see its supervisor.log");
}

}  // namespace muster::lab
