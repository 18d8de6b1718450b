#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "api/change_stream.h"
#include "api/member_handler.h"
#include "api/problem.h"
#include "domain/change.h"
#include "domain/json_writer.h"

namespace muster {

namespace {

// After how many milliseconds a client is to come back when the server has ended its stream.
constexpr std::string_view kRetryLine = "retry: 1000\n";

void AppendIdLine(std::string& out, std::int64_t position) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, position).ptr;
  out.append("id: ").append(digits, end).append("\n");
}

// Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). A heartbeat has an id and no
// data: no event for the client, and yet the place to come back to.
class HttpChangeStream final : public HttpSource, public ChangeStream {
 public:
  HttpChangeStream(ChangeStreams& streams, ChangeHub::Place place, std::string authorization, Deadline deadline,
                   Calls& calls, Call& call, std::int64_t after, ChangeFilter filter)
      : ChangeStream(streams, std::move(place), std::move(authorization), deadline),
        streams_(streams),
        calls_(calls),
        call_(call),
        after_(after),
        filter_(std::move(filter)) {}
  ~HttpChangeStream() override { calls_.End(call_, 200, reason_); }

  void OnBegin(HttpStream& stream) override {
    stream_ = &stream;
    if (is_over()) return Tell(early_end_ ? &*early_end_ : nullptr);
    Start(after_, std::move(filter_));
  }
  void OnRoom() override { Pump(); }
  void OnDrain() override { FinishWith(nullptr); }

 private:
  std::size_t Send(std::span<const ChangeEvent> events) override {
    std::size_t sent = 0;
    while (sent < events.size() && stream_->HasRoom()) {
      const auto piece = events.subspan(sent, std::min(ChangeTexts::kEventsMax, events.size() - sent));
      stream_->Write(streams_.texts().Write(piece).all());
      sent += piece.size();
    }
    return sent;
  }
  void SendHeartbeat(std::int64_t position) override {
    if (!stream_->HasRoom()) return;
    std::string& text = calls_.StartBody();
    text.append(": heartbeat\n");
    AppendIdLine(text, position);
    stream_->Write(text.append("\n"));
  }
  // Behind an answer that goes on, its turn may come after its end.
  void Finish(const Error* error) override {
    if (stream_ != nullptr) return Tell(error);
    if (error != nullptr) early_end_ = *error;
  }
  void Tell(const Error* error) {
    std::string& text = calls_.StartBody();
    if (error == nullptr || error->reason == Reason::kDeadlineExceeded) {
      text.append(kRetryLine);
      AppendIdLine(text, std::max(seen(), after_));
    } else {
      reason_ = error->reason;
      text.append("event: problem\ndata: ");
      AppendProblem(text, *error, call_.request_id);
      text.append("\n");
    }
    stream_->Write(text.append("\n"));
    stream_->End();
  }

  ChangeStreams& streams_;
  Calls& calls_;
  Call& call_;
  HttpStream* stream_ = nullptr;  // from OnBegin on
  std::optional<Error> early_end_;
  const std::int64_t after_;
  ChangeFilter filter_;
  std::optional<Reason> reason_;
};

}  // namespace

void MemberHandler::AppendChange(std::string& out, const ChangeEvent& event) {
  AppendIdLine(out, event.position);
  out.append("data: ");
  JsonWriter json(out);
  json.BeginObject();
  json.Key("position").Number64(event.position);
  json.Key("memberId").Number64(event.member_id.value());
  json.Key("version").Number64(event.version.value());
  json.Key("type").String(ChangeTypeName(event.type));
  json.Key("changeTime").Time(event.time);
  json.EndObject();
  out.append("\n\n");
}

Result<void> MemberHandler::WatchChanges(Call& call, const Input& input) {
  MUSTER_TRY(calls_.Admit(call, input.headers, Scope::kMembersRead));
  if (!changes_) return Fail(Reason::kNotImplemented, "this server does not stream changes");
  MUSTER_ASSIGN(WatchRequest asked, ReadWatchQuery(query_, input.request.query, input.request.Header("Last-Event-ID")));
  MUSTER_ASSIGN(ChangeHub::Place place, changes_->TakePlace(call.caller->name));
  // Streams have no deadline but one that was asked for.
  const Deadline deadline = input.headers.timeout_ms.empty() ? Deadline() : call.deadline;
  changes_->Resolve(
      asked.from, [this, &call, deadline, filter = std::move(asked.filter), place = std::move(place),
                   authorization = std::string(input.headers.authorization)](Result<std::int64_t> after) mutable {
        if (!after) return calls_.Fail(call, after.error());
        calls_.StartHead(call).append("Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n");
        calls_.Stream(call, "text/event-stream",
                      std::make_unique<HttpChangeStream>(*changes_, std::move(place), std::move(authorization),
                                                         deadline, calls_, call, *after, std::move(filter)));
      });
  return {};
}

}  // namespace muster
