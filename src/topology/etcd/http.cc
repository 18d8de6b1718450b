#include "topology/etcd/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"

namespace muster::etcd {
namespace {

// More than the largest document in base64, so that nobody can fill the memory.
constexpr std::size_t kReplyBytesMax = std::size_t{8} << 20;
constexpr std::chrono::hours kTurnMax{1};
constexpr long kKeepaliveSeconds = 10;

std::size_t AppendReply(char* data, std::size_t size, std::size_t count, void* target) {
  auto& body = *static_cast<std::string*>(target);
  if (body.size() + size * count > kReplyBytesMax) return CURL_WRITEFUNC_ERROR;
  body.append(data, size * count);
  return size * count;
}

std::size_t PassOn(char* data, std::size_t size, std::size_t count, void* target) {
  (*static_cast<const std::function<void(std::string_view)>*>(target))({data, size * count});
  return size * count;
}

// What every request has; answers the headers, which must stay until it has ended. So must `request`.
curl_slist* Prepare(CURL* curl, const Request& request, const Tls& tls) {
  curl_easy_reset(curl);  // keeps connections
  curl_slist* headers = curl_slist_append(nullptr, "Content-Type: application/json");
  headers = curl_slist_append(headers, "Expect:");
  if (!request.token.empty()) headers = curl_slist_append(headers, ("Authorization: " + request.token).c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, kKeepaliveSeconds);
  curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, kKeepaliveSeconds);
  curl_easy_setopt(curl, CURLOPT_POST, 1L);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.c_str());
  if (!tls.ca_file.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, tls.ca_file.c_str());
  if (!tls.certificate_file.empty()) curl_easy_setopt(curl, CURLOPT_SSLCERT, tls.certificate_file.c_str());
  if (!tls.key_file.empty()) curl_easy_setopt(curl, CURLOPT_SSLKEY, tls.key_file.c_str());
  if (request.on_fresh_connection) {
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
  }
  return headers;
}

Silence::Kind KindOf(CURL* curl, CURLcode code, std::string_view detail) {
  switch (code) {
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
      return Silence::Kind::kTlsRefused;
    default:
      break;
  }
  // Of TLS 1.3 a server tells that it does not like our certificate after the handshake.
  if (detail.find(" alert ") != std::string_view::npos) return Silence::Kind::kTlsRefused;
  long sent = 0;
  curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &sent);
  return sent == 0 ? Silence::Kind::kNotSent : Silence::Kind::kNoAnswer;
}

void InitialiseCurl() {
  // Once, and never undone: others may use it in other threads.
  static const bool kReady = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  MUSTER_CHECK(kReady);
}

}  // namespace

Http::~Http() {
  for (void* const curl : idle_) curl_easy_cleanup(curl);
}

std::expected<Reply, Silence> Http::Post(const Request& request) {
  InitialiseCurl();
  CURL* curl = nullptr;
  {
    std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      curl = idle_.back();
      idle_.pop_back();
    }
  }
  if (curl == nullptr) curl = curl_easy_init();
  MUSTER_CHECK(curl != nullptr);
  Reply reply;
  std::array<char, CURL_ERROR_SIZE> detail{};
  curl_slist* const headers = Prepare(curl, request, tls_);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail.data());
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(std::max(request.timeout.count(), 1L)));
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, AppendReply);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply.body);
  const CURLcode code = curl_easy_perform(curl);
  std::expected<Reply, Silence> outcome;
  if (code == CURLE_OK) {
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    reply.status = static_cast<int>(status);
    outcome = std::move(reply);
  } else {
    std::string text = detail[0] != '\0' ? detail.data() : curl_easy_strerror(code);
    if (code == CURLE_GOT_NOTHING) text += " (an address that wants https ends like this)";
    outcome = std::unexpected(Silence{.kind = KindOf(curl, code, text), .detail = text});
  }
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
  curl_slist_free_all(headers);
  std::lock_guard lock(mutex_);
  if (idle_.size() < kIdleMax) {
    idle_.push_back(curl);
  } else {
    curl_easy_cleanup(curl);
  }
  return outcome;
}

Stream::Stream(const Tls& tls, std::function<void(std::string_view)> take) : tls_(tls), take_(std::move(take)) {
  InitialiseCurl();
  multi_ = curl_multi_init();
  MUSTER_CHECK(multi_ != nullptr);
}

Stream::~Stream() {
  Close();
  curl_multi_cleanup(static_cast<CURLM*>(multi_));
}

void Stream::Open(const Request& request) {
  Close();
  request_ = request;
  easy_ = curl_easy_init();
  MUSTER_CHECK(easy_ != nullptr);
  headers_ = Prepare(easy_, request_, tls_);
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.timeout.count()));
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, PassOn);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, &take_);
  curl_multi_add_handle(static_cast<CURLM*>(multi_), easy_);
}

void Stream::Close() {
  if (easy_ == nullptr) return;
  curl_multi_remove_handle(static_cast<CURLM*>(multi_), easy_);
  curl_easy_cleanup(std::exchange(easy_, nullptr));
  curl_slist_free_all(static_cast<curl_slist*>(std::exchange(headers_, nullptr)));
}

void Stream::Turn(Duration at_most) {
  auto* const multi = static_cast<CURLM*>(multi_);
  const auto milliseconds =
      std::chrono::ceil<std::chrono::milliseconds>(std::clamp(at_most, Duration(0), Duration(kTurnMax)));
  curl_multi_poll(multi, nullptr, 0, static_cast<int>(milliseconds.count()), nullptr);
  int running = 0;
  curl_multi_perform(multi, &running);
  if (running == 0) Close();
}

void Stream::Wake() { curl_multi_wakeup(static_cast<CURLM*>(multi_)); }

}  // namespace muster::etcd
