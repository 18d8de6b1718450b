// A closed-loop gRPC load generator: C connections on one thread, each keeping S unary calls of
// muster.v1.MemberService/GetMember under way, counting answers for some seconds. It speaks HTTP/2 by hand and does as
// little as it can between two system calls, so that one core of it saturates one core of a server: the fields of a
// call are one byte each from the second call on, as the server's compression table has them, and of an answer it looks
// at the frames and not at what is in them. One JSON object on stdout:
// {"requests":…,"seconds":…,"per_second":…,"bytes":…,"errors":…}.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kInputBytes = 256 << 10;
constexpr std::size_t kFrameHeadBytes = 9;
constexpr std::uint64_t kGoldenRatio = 0x9E3779B97F4A7C15ULL;
constexpr std::uint32_t kWindowBytes = 0x7fff0000;
constexpr std::uint32_t kWindowRefillBytes = 1 << 30;

// Frame types and flags of RFC 9113.
enum FrameType : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8
};
constexpr std::uint8_t kEndStream = 1;
constexpr std::uint8_t kAck = 1;
constexpr std::uint8_t kEndHeaders = 4;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "grpc_load: %s\n", what.c_str());
  std::_Exit(1);
}

struct Settings {
  std::uint16_t port = 0;
  int connections = 4;
  int streams = 16;
  double seconds = 3;
  std::uint64_t members = 1;
  std::string key;
};

void AppendNumber(std::string& out, std::uint32_t number, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift));
}

void AppendFrame(std::string& out, FrameType type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  AppendNumber(out, static_cast<std::uint32_t>(payload.size()), 3);
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  AppendNumber(out, stream, 4);
  out.append(payload);
}

std::uint32_t ReadNumber(std::string_view bytes, std::size_t at, int count) {
  std::uint32_t number = 0;
  for (int i = 0; i < count; ++i)
    number = number << 8 | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
  return number;
}

// The header block of a call in HPACK: literals that enter the table the first time, their indices from then on.
class HeadBlocks {
 public:
  explicit HeadBlocks(const std::string& key) {
    std::vector<std::pair<std::string, std::string>> fields = {{":path", "/muster.v1.MemberService/GetMember"},
                                                               {":authority", "bench"},
                                                               {"content-type", "application/grpc"},
                                                               {"te", "trailers"}};
    if (!key.empty()) fields.emplace_back("authorization", "Bearer " + key);
    first = later = std::string("\x83\x86", 2);  // :method POST, :scheme http: of the static table
    for (const auto& [name, value] : fields) {
      first += '\x40';
      AppendText(first, name);
      AppendText(first, value);
    }
    constexpr std::size_t kStaticEntries = 61;
    // The newest entry is the first.
    for (std::size_t i = fields.size(); i > 0; --i) later += static_cast<char>(0x80 | (kStaticEntries + i));
  }
  std::string first;
  std::string later;

 private:
  static void AppendText(std::string& out, const std::string& text) {
    if (text.size() >= 0x7f) Die("the key is too long");
    out += static_cast<char>(text.size());
    out += text;
  }
};

struct Counts {
  std::uint64_t answers = 0;
  std::uint64_t messages = 0;
  std::uint64_t resets = 0;
  std::uint64_t bytes = 0;
};

class Connection {
 public:
  Connection(const Settings& settings, const HeadBlocks& blocks, std::uint64_t seed, Counts& counts)
      : settings_(settings), blocks_(blocks), random_(seed), counts_(counts) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(settings.port);
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    if (connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) Die("cannot connect");
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    output_ = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    std::string window;  // SETTINGS_INITIAL_WINDOW_SIZE
    AppendNumber(window, 4, 2);
    AppendNumber(window, kWindowBytes, 4);
    AppendFrame(output_, kSettings, 0, 0, window);
    AddWindow(kWindowBytes);
    for (int i = 0; i < settings.streams; ++i) AppendCall();
    Flush();
  }
  ~Connection() { close(socket_); }

  int socket() const { return socket_; }

  void Receive(char* buffer) {
    const ssize_t count = recv(socket_, buffer, kInputBytes, MSG_DONTWAIT);
    if (count == 0) Die("the server has closed a connection");
    if (count < 0) {
      if (errno == EAGAIN) return;
      Die("cannot receive");
    }
    counts_.bytes += static_cast<std::uint64_t>(count);
    std::string_view input(buffer, static_cast<std::size_t>(count));
    if (!remainder_.empty()) {
      remainder_.append(input);
      input = remainder_;
    }
    const std::size_t used = TakeFrames(input);
    std::string rest(input.substr(used));
    remainder_.swap(rest);
    Flush();
  }

 private:
  std::size_t TakeFrames(std::string_view input) {
    std::size_t used = 0;
    while (input.size() - used >= kFrameHeadBytes) {
      const std::string_view rest = input.substr(used);
      const std::size_t size = kFrameHeadBytes + ReadNumber(rest, 0, 3);
      if (rest.size() < size) break;
      TakeFrame(static_cast<FrameType>(rest[3]), static_cast<std::uint8_t>(rest[4]), rest.substr(0, size));
      used += size;
    }
    return used;
  }

  void TakeFrame(FrameType type, std::uint8_t flags, std::string_view frame) {
    switch (type) {
      case kData:
        received_ += static_cast<std::uint32_t>(frame.size() - kFrameHeadBytes);
        ++counts_.messages;
        if (received_ > kWindowRefillBytes) {
          AddWindow(received_);
          received_ = 0;
        }
        break;
      case kHeaders:
        if ((flags & kEndStream) == 0) break;
        ++counts_.answers;
        AppendCall();
        break;
      case kReset:
        ++counts_.resets;
        AppendCall();
        break;
      case kSettings:
        if ((flags & kAck) == 0) AppendFrame(output_, kSettings, kAck, 0, {});
        break;
      case kPing:
        if ((flags & kAck) == 0) AppendFrame(output_, kPing, kAck, 0, frame.substr(kFrameHeadBytes));
        break;
      case kGoAway:
        Die("the server sent GOAWAY");
      default:
        break;
    }
  }

  void AddWindow(std::uint32_t bytes) {
    std::string increment;
    AppendNumber(increment, bytes, 4);
    AppendFrame(output_, kWindowUpdate, 0, 0, increment);
  }

  void AppendCall() {
    AppendFrame(output_, kHeaders, kEndHeaders, next_stream_, next_stream_ == 1 ? blocks_.first : blocks_.later);
    random_ += kGoldenRatio;
    std::uint64_t x = random_;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x ^= x >> 27;
    // GetMemberRequest { id }
    std::uint64_t id = 1 + x % settings_.members;
    char message[16] = {0, 0, 0, 0, 0, 0x08};
    std::size_t size = 6;
    for (; id >= 0x80; id >>= 7) message[size++] = static_cast<char>(id | 0x80);
    message[size++] = static_cast<char>(id);
    message[4] = static_cast<char>(size - 5);
    AppendFrame(output_, kData, kEndStream, next_stream_, {message, size});
    next_stream_ += 2;
  }

  void Flush() {
    while (!output_.empty()) {
      const ssize_t count = send(socket_, output_.data(), output_.size(), MSG_NOSIGNAL);
      if (count < 0) Die("cannot send");
      output_.erase(0, static_cast<std::size_t>(count));
    }
  }

  const Settings& settings_;
  const HeadBlocks& blocks_;
  std::uint64_t random_;
  Counts& counts_;
  int socket_ = -1;
  std::uint32_t next_stream_ = 1;
  std::uint32_t received_ = 0;
  std::string output_;
  std::string remainder_;
};

Settings ReadSettings(int argc, char** argv) {
  Settings settings;
  const std::map<std::string_view, std::function<void(const char*)>> flags = {
      {"--port", [&](const char* value) { settings.port = static_cast<std::uint16_t>(std::atoi(value)); }},
      {"--connections", [&](const char* value) { settings.connections = std::atoi(value); }},
      {"--streams", [&](const char* value) { settings.streams = std::atoi(value); }},
      {"--seconds", [&](const char* value) { settings.seconds = std::atof(value); }},
      {"--members", [&](const char* value) { settings.members = std::strtoull(value, nullptr, 10); }},
      {"--key-file", [&](const char* value) { std::getline(std::ifstream(value), settings.key); }}};
  for (int i = 1; i < argc; i += 2) {
    const auto flag = flags.find(argv[i]);
    if (flag == flags.end() || i + 1 == argc) Die(std::string("unknown or incomplete flag ") + argv[i]);
    flag->second(argv[i + 1]);
  }
  if (settings.port == 0 || settings.members == 0) Die("needs --port, and at least one member");
  return settings;
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings = ReadSettings(argc, argv);
  const HeadBlocks blocks(settings.key);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  Counts counts;
  std::vector<std::unique_ptr<Connection>> connections;
  const auto seed = static_cast<std::uint64_t>(SteadyClock::now().time_since_epoch().count());
  for (int i = 0; i < settings.connections; ++i) {
    connections.push_back(
        std::make_unique<Connection>(settings, blocks, seed + static_cast<std::uint64_t>(i) * 7919, counts));
    epoll_event event{.events = EPOLLIN, .data = {.ptr = connections.back().get()}};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, connections.back()->socket(), &event) != 0) Die("cannot watch a socket");
  }
  std::vector<char> buffer(kInputBytes);
  const auto begin = SteadyClock::now();
  const auto end = begin + std::chrono::duration<double>(settings.seconds);
  while (SteadyClock::now() < end) {
    epoll_event ready[64];
    const int count = epoll_wait(epoll, ready, 64, 1000);
    if (count == 0) Die("the server answers nothing");
    for (int i = 0; i < count; ++i) static_cast<Connection*>(ready[i].data.ptr)->Receive(buffer.data());
  }
  // A failed call ends without a message; those that are under way may have one already.
  const std::uint64_t failed = counts.answers > counts.messages ? counts.answers - counts.messages : 0;
  const double seconds = std::chrono::duration<double>(SteadyClock::now() - begin).count();
  std::printf("{\"requests\":%llu,\"seconds\":%.3f,\"per_second\":%.0f,\"bytes\":%llu,\"errors\":%llu}\n",
              static_cast<unsigned long long>(counts.answers), seconds, static_cast<double>(counts.answers) / seconds,
              static_cast<unsigned long long>(counts.bytes), static_cast<unsigned long long>(counts.resets + failed));
}
