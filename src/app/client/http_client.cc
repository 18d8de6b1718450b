#include "app/client/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

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

struct HeaderLines {
  curl_slist* lines = nullptr;
  ~HeaderLines() { curl_slist_free_all(lines); }
  void Add(const std::string& line) { lines = curl_slist_append(lines, line.c_str()); }
};

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

Outcome<HttpReply> HttpClient::Send(const Request& request) {
  CURL* const curl = state_->handle;
  curl_easy_reset(curl);  // keeps the connection
  state_->detail[0] = '\0';
  const std::string url = options_.base_url + request.path;
  const std::string method(request.method);
  HeaderLines lines;
  if (!options_.key.empty()) lines.Add("Authorization: Bearer " + options_.key);
  for (const auto& [name, value] : request.headers) lines.Add(fmt::format("{}: {}", name, value));
  lines.Add(request.expect_continue ? "Expect: 100-continue" : "Expect:");

  HttpReply reply;
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, state_->detail.data());
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(options_.timeout.count()));
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
  const CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK) {
    return Fails(ExitCode::kUnavailable, Explain(code, options_.base_url, state_->detail.data(), options_.timeout));
  }
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  reply.status = static_cast<int>(status);
  return reply;
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
