#include "bench/http_channel.h"

#include <utility>

namespace muster {

void HttpChannel::Begin(std::string&) { reader_ = HttpAnswerReader(); }

void HttpChannel::Append(std::string& out, const LoadCall& call, UnderWay request) {
  ring_[(first_ + count_) % ring_.size()] = request;
  ++count_;
  writer_->Append(out, call);
}

bool HttpChannel::Take(std::string_view input, BenchTime now, std::string&, LoadAnswerSink& sink) {
  while (!input.empty()) {
    const HttpAnswerReader::State state = reader_.Take(input);
    if (state == HttpAnswerReader::State::kMore) return true;
    if (state == HttpAnswerReader::State::kMalformed || count_ == 0) return false;
    const bool is_success = reader_.status() >= 200 && reader_.status() < 300;
    if (!is_success) {
      code_ = std::to_string(reader_.status());
      if (!reader_.code().empty()) code_.append(" ").append(reader_.code());
    }
    sink.OnAnswer({.token = Drop().token,
                   .kind = LoadAnswer::Kind::kAnswered,
                   .is_success = is_success,
                   .code = is_success ? std::string_view() : std::string_view(code_),
                   .at = now});
    if (reader_.closes()) return false;
  }
  return true;
}

// Answers behind one that is given up could not be told from it.
bool HttpChannel::GiveUpLate(BenchTime latest, BenchTime now, std::string&, LoadAnswerSink& sink) {
  if (count_ == 0 || ring_[first_].sent > latest) return true;
  while (count_ > 0 && ring_[first_].sent <= latest) sink.OnAnswer(TimedOut(Drop(), now));
  return false;
}

LoadChannel::UnderWay HttpChannel::Drop() {
  const UnderWay request = ring_[first_];
  first_ = (first_ + 1) % ring_.size();
  --count_;
  return request;
}

Result<std::unique_ptr<LoadTransport>> MakeHttpTransport(SocketTransport::Options options) {
  auto writer = std::make_shared<const HttpRequestWriter>(options.target.host, options.key);
  const std::uint32_t depth = options.depth;
  return SocketTransport::Make(std::move(options),
                               [writer, depth] { return std::make_unique<HttpChannel>(writer, depth); });
}

}  // namespace muster
