#include "app/client/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "base/check.h"

namespace muster {
namespace {

constexpr std::size_t kHeaderLinesMax = 256;

std::size_t AppendBody(char* data, std::size_t size, std::size_t count, void* target) {
  static_cast<std::string*>(target)->append(data, size * count);
  return size * count;
}

std::size_t AddHeader(char* data, std::size_t size, std::size_t count, void* target) {
  auto& headers = *static_cast<std::map<std::string, std::string, std::less<>>*>(target);
  std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) headers.clear();  // of an interim answer
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos && headers.size() < kHeaderLinesMax) {
    std::string name(line.substr(0, colon));
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && std::isspace(static_cast<unsigned char>(value.front())) != 0) value.remove_prefix(1);
    while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back())) != 0) value.remove_suffix(1);
    headers[std::move(name)] = value;
  }
  return size * count;
}

int StatusOf(CURL* curl) {
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  return static_cast<int>(status);
}

// Where the body of an answer that goes on is taken to.
struct StreamTarget {
  CURL* curl;
  HttpReply& reply;
  const std::function<bool(std::string_view)>& take;
  const std::function<bool()>& goes_on;
  bool is_ended = false;  // by one of them
};

std::size_t TakePiece(char* data, std::size_t size, std::size_t count, void* opaque) {
  auto& target = *static_cast<StreamTarget*>(opaque);
  if (StatusOf(target.curl) != 200) return AppendBody(data, size, count, &target.reply.body);
  target.is_ended = !target.take({data, size * count});
  return target.is_ended ? CURL_WRITEFUNC_ERROR : size * count;
}

int AskWhetherToGoOn(void* opaque, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& target = *static_cast<StreamTarget*>(opaque);
  target.is_ended = target.is_ended || !target.goes_on();
  return target.is_ended ? 1 : 0;
}

std::string Explain(CURLcode code, const std::string& url, const char* detail, std::chrono::milliseconds timeout) {
  switch (code) {
    case CURLE_COULDNT_CONNECT:
      return "no server answers at " + url + "; is it running, and is this its address? (--server, MUSTER_SERVER)";
    case CURLE_COULDNT_RESOLVE_HOST:
      return "the host of " + url + " is not known; check --server";
    case CURLE_OPERATION_TIMEDOUT:
      return url + " did not answer within " + std::to_string(timeout.count()) +
             " ms; try again or give it longer with --timeout";
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
      return url + " is not an address that muster can talk to; write http://HOST:PORT";
    default:
      return url + ": " + (detail[0] != '\0' ? detail : curl_easy_strerror(code));
  }
}

}  // namespace

struct HttpClient::HeaderLines {
  curl_slist* lines = nullptr;
  ~HeaderLines() { curl_slist_free_all(lines); }
  void Add(const std::string& line) { lines = curl_slist_append(lines, line.c_str()); }
};

struct HttpClient::State {
  CURL* handle = nullptr;
  std::array<char, CURL_ERROR_SIZE> detail{};
};

HttpClient::HttpClient(HttpClientOptions options) : options_(std::move(options)), state_(std::make_unique<State>()) {
  // Initialised once, and never undone: other clients may live in other threads.
  static const bool kReady = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  MUSTER_CHECK(kReady);
  state_->handle = curl_easy_init();
  MUSTER_CHECK(state_->handle != nullptr);
}

HttpClient::~HttpClient() {
  if (state_) curl_easy_cleanup(state_->handle);
}

HttpClient::HttpClient(HttpClient&&) noexcept = default;

// What is the same for any answer; `lines` must stay until it is there.
void HttpClient::Prepare(const Request& request, HttpReply& reply, HeaderLines& lines) {
  CURL* const curl = state_->handle;
  curl_easy_reset(curl);  // keeps the connection
  state_->detail[0] = '\0';
  const std::string url = options_.base_url + request.path;
  const std::string method(request.method);
  if (!options_.key.empty()) lines.Add("Authorization: Bearer " + options_.key);
  for (const auto& [name, value] : request.headers) lines.Add(fmt::format("{}: {}", name, value));
  lines.Add(request.expect_continue ? "Expect: 100-continue" : "Expect:");

  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, state_->detail.data());
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, AppendBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply.body);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, AddHeader);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &reply.headers);
  if (request.method != "GET") {
    lines.Add("Content-Type: " + std::string(request.content_type));
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method.c_str());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data() == nullptr ? "" : request.body.data());
  }
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines.lines);
}

Outcome<HttpReply> HttpClient::Finish(HttpReply reply, int code) {
  if (code != CURLE_OK) {
    return Fails(ExitCode::kUnavailable,
                 Explain(static_cast<CURLcode>(code), options_.base_url, state_->detail.data(), options_.timeout));
  }
  reply.status = StatusOf(state_->handle);
  return reply;
}

Outcome<HttpReply> HttpClient::Send(const Request& request) {
  HttpReply reply;
  HeaderLines lines;
  Prepare(request, reply, lines);
  curl_easy_setopt(state_->handle, CURLOPT_TIMEOUT_MS, static_cast<long>(options_.timeout.count()));
  const CURLcode code = curl_easy_perform(state_->handle);
  return Finish(std::move(reply), code);
}

Outcome<HttpReply> HttpClient::Stream(const Request& request, const std::function<bool(std::string_view)>& take,
                                      const std::function<bool()>& goes_on) {
  HttpReply reply;
  HeaderLines lines;
  Prepare(request, reply, lines);
  CURL* const curl = state_->handle;
  StreamTarget target{.curl = curl, .reply = reply, .take = take, .goes_on = goes_on};
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(options_.timeout);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.timeout.count()));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(seconds.count()));
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, TakePiece);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &target);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, AskWhetherToGoOn);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &target);
  const CURLcode code = curl_easy_perform(curl);
  return Finish(std::move(reply), target.is_ended ? CURLE_OK : code);
}

std::string HostOfUrl(const std::string& url) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), &curl_url_cleanup);
  char* host = nullptr;
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK ||
      curl_url_get(parsed.get(), CURLUPART_HOST, &host, 0) != CURLUE_OK) {
    return "";
  }
  std::string text(host);
  curl_free(host);
  return text;
}

bool IsHttpUrl(const std::string& url) {
  const std::string scheme = url.substr(0, std::min(url.find("://"), url.size()));
  return (strcasecmp(scheme.c_str(), "http") == 0 || strcasecmp(scheme.c_str(), "https") == 0) &&
         !HostOfUrl(url).empty();
}

std::string EscapeUrl(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x80 && std::isalnum(byte) != 0) || c == '-' || c == '.' || c == '_' || c == '~') {
      escaped += c;
    } else {
      escaped += '%';
      escaped += kHex[byte >> 4];
      escaped += kHex[byte & 15];
    }
  }
  return escaped;
}

}  // namespace muster
