#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "app/cli/messages.h"
#include "app/client/client_flags.h"
#include "app/client/event_stream.h"
#include "app/client/problem.h"
#include "app/commands/commands.h"
#include "app/server/process.h"
#include "base/clock.h"

namespace muster {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPauseMin{500};
constexpr milliseconds kPauseMax{5'000};

// How long a server that does not answer any more is tried.
constexpr Duration kGiveUpAfter = std::chrono::minutes(10);

struct ChangesFlags {
  std::shared_ptr<ClientFlags> client;
  std::string from = "latest";
  std::string types;
  std::string members;
  std::uint64_t count = 0;
};

// Prints the stream, and goes on where it was when the connection is lost.
class ChangesFollower {
 public:
  ChangesFollower(const ChangesFlags& flags, HttpClientOptions target) : flags_(flags), client_(std::move(target)) {}

  Outcome<ExitCode> Run() {
    Instant answered_at = clock_.Monotonic();
    for (milliseconds pause = kPauseMin;; pause = std::min(pause * 2, kPauseMax)) {
      const std::uint64_t printed_before = printed_;
      const bool was_answered = is_answered_;
      is_answered_ = false;
      const Outcome<HttpReply> reply = Stream();
      if (is_over_) return ExitCode::kOk;
      if (failure_) return std::unexpected(*failure_);
      if (reply && !reply->ok() && reply->status != 503 && reply->status != 429) {
        return std::unexpected(DescribeRefusal(*reply));
      }
      if (is_answered_ || printed_ > printed_before) {
        answered_at = clock_.Monotonic();
        pause = kPauseMin;
      }
      has_begun_ = has_begun_ || is_answered_;
      const std::string why = !reply        ? reply.error().message
                              : reply->ok() ? "the server has ended the stream"
                                            : DescribeRefusal(*reply).message;
      if (!has_begun_) return Fails(ExitCode::kUnavailable, why);
      if (clock_.Monotonic() - answered_at > kGiveUpAfter) {
        return Fails(ExitCode::kUnavailable, why + "\nGo on later with --from " + Position());
      }
      if (was_answered || is_answered_) PrintNote(why + "; going on after position " + Position());
      if (signals_.WaitFor(pause)) return ExitCode::kOk;
    }
  }

 private:
  std::string Position() const { return reader_.last_id().empty() ? flags_.from : reader_.last_id(); }

  Outcome<HttpReply> Stream() {
    reader_.Reset();
    HttpClient::Request request{.path = "/v1/changes?from=" + EscapeUrl(flags_.from)};
    if (!flags_.types.empty()) request.path += "&types=" + EscapeUrl(flags_.types);
    if (!flags_.members.empty()) request.path += "&memberIds=" + EscapeUrl(flags_.members);
    if (!reader_.last_id().empty()) request.headers["Last-Event-ID"] = reader_.last_id();
    return client_.Stream(
        request, [this](std::string_view bytes) { return Take(bytes); },
        [this] {
          is_over_ = is_over_ || signals_.WaitFor(milliseconds(0));
          return !is_over_;
        });
  }

  bool Take(std::string_view bytes) {
    is_answered_ = true;
    const bool is_stream = reader_.Read(bytes, [this](const ServerSentEvent& event) { return Print(event); });
    std::fflush(stdout);
    if (std::ferror(stdout) != 0) failure_ = {ExitCode::kFailure, "standard output could not be written"};
    if (!is_stream) failure_ = {ExitCode::kFailure, "what the server answers is no stream of changes"};
    return !is_over_ && !failure_;
  }

  bool Print(const ServerSentEvent& event) {
    if (event.name == "problem") {
      failure_ = DescribeRefusal({.status = 410, .headers = {}, .body = std::string(event.data)});
      return false;
    }
    PrintData(std::string(event.data) + "\n");
    is_over_ = ++printed_ == flags_.count;
    return !is_over_;
  }

  const ChangesFlags& flags_;
  HttpClient client_;
  const SystemClock clock_;
  TerminationSignals signals_;
  EventStreamReader reader_;
  std::uint64_t printed_ = 0;
  bool has_begun_ = false;
  bool is_answered_ = false;  // by the last request
  bool is_over_ = false;
  std::optional<Failure> failure_;
};

Outcome<ExitCode> FollowChanges(const ChangesFlags& flags) {
  MUSTER_ASSIGN(HttpClientOptions target, flags.client->Resolve());
  return ChangesFollower(flags, std::move(target)).Run();
}

}  // namespace

void AddChangesCommand(CLI::App& root, CommandContext& context) {
  CLI::App* command = root.add_subcommand("changes", "Follow what happens to members, a line of JSON a change");
  command->group(kMembersGroup);
  auto flags = std::make_shared<ChangesFlags>();
  command
      ->add_option("--from", flags->from,
                   "The position after which to begin; earliest: with the oldest that is kept; latest: with the next")
      ->type_name("POSITION")
      ->capture_default_str();
  command->add_option("--types", flags->types, "Only these types of change, with commas between them")
      ->type_name("TYPE,...");
  command->add_option("--members", flags->members, "Only these members, with commas between their ids")
      ->type_name("ID,...");
  command->add_option("--count", flags->count, "End after so many; 0: go on until interrupted")->type_name("N");
  flags->client = AddClientFlags(*command, "60s");
  command->footer(
      "Each line has the position to go on from. When the connection is lost, or silent for --timeout, it goes on\n"
      "where it was; a change comes once for each position. SIGINT ends it with exit code 0. Needs the scope "
      "members.read.");
  command->callback([&context, flags] { context.action = [flags] { return FollowChanges(*flags); }; });
}

}  // namespace muster
