#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

// HTTP as etcd's JSON gateway wants it, by libcurl: POST, no proxy, no redirect.
namespace muster::etcd {

struct Tls {
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
};

struct Request {
  std::string url;
  std::string body;   // JSON
  std::string token;  // of Authorization; empty: none
  std::chrono::milliseconds timeout{0};
  // A kept connection that turns out to be dead makes libcurl send the request again without a word: not for changes.
  bool on_fresh_connection = false;
};

struct Reply {
  int status = 0;
  std::string body;
};

// No answer.
struct Silence {
  enum class Kind { kNotSent, kNoAnswer, kTlsRefused };
  Kind kind;
  std::string detail;
};

// Keeps connections for whoever calls next. Thread-safe.
class Http {
 public:
  explicit Http(Tls tls) : tls_(std::move(tls)) {}
  ~Http();
  Http(const Http&) = delete;

  std::expected<Reply, Silence> Post(const Request& request);
  const Tls& tls() const { return tls_; }

 private:
  static constexpr std::size_t kIdleMax = 4;

  const Tls tls_;
  std::mutex mutex_;
  std::vector<void*> idle_;  // CURL*; guarded by mutex_
};

// One answer that goes on. For one thread, but for Wake.
class Stream {
 public:
  // `take` gets what arrives, in pieces.
  Stream(const Tls& tls, std::function<void(std::string_view piece)> take);
  ~Stream();
  Stream(const Stream&) = delete;

  void Open(const Request& request);
  void Close();
  bool is_open() const { return easy_ != nullptr; }
  // Takes what has arrived, or waits for something for `at_most`. What has ended is closed.
  void Turn(Duration at_most);
  // Ends the Turn under way, or the next.
  void Wake();

 private:
  const Tls& tls_;
  const std::function<void(std::string_view)> take_;
  void* multi_;              // CURLM*
  void* easy_ = nullptr;     // CURL*
  void* headers_ = nullptr;  // curl_slist*
  Request request_;
};

}  // namespace muster::etcd
