#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "api/api_dependencies.h"
#include "api/calls.h"
#include "api/change_stream.h"
#include "api/member_batch.h"
#include "api/member_json.h"
#include "api/member_searches.h"
#include "api/probes.h"
#include "api/query.h"
#include "api/request_headers.h"
#include "domain/ports/member_reader.h"

namespace muster {

// How many changes a page of a history has at most, and when the caller does not say.
inline constexpr std::int64_t kHistoryPageMax = 100;
inline constexpr std::int64_t kHistoryPageDefault = 50;

// The HttpHandler of member_api.h. One verb a method; a verb that returns an error has not answered, all others have or
// will. Reads are in member_reads.cc, batches in member_batches.cc, searches in member_search.cc, the stream of changes
// in member_changes.cc, writes in member_writes.cc.
class MemberHandler final : public HttpHandler {
 public:
  MemberHandler(EventLoop& loop, std::unique_ptr<MemberReader> reader, const ApiDependencies& dependencies);

  void Handle(const HttpRequest& request, HttpExchange exchange) override;
  void Reject(const HttpRejection& rejection, const HttpRequest& known, HttpExchange exchange) override;
  void Tick() override;

 private:
  // What a verb is given beside its call; views into the request.
  struct Input {
    const HttpRequest& request;
    const RequestHeaders& headers;
  };
  using Batch = MemberBatches<Call>::Batch;
  using Searches = MemberSearches<Call>;
  using Write = std::move_only_function<Task<Result<Member>>(WriteContext)>;

  Result<void> Dispatch(Call& call, const Input& input);

  Result<void> Get(Call& call, const Input& input);
  Result<void> Resolve(Call& call, const Input& input);
  Result<void> ListHistory(Call& call, const Input& input);
  Result<void> GetServer(Call& call, const Input& input);
  Result<ReadOptions> OptionsOf(const Call& call, const Input& input);
  static void AppendOrigin(std::string& head, const MemberAnswer& answer);
  void AnswerRead(Call& call, Result<MemberAnswer> answer, Reason missing);

  Result<void> BatchGet(Call& call, const Input& input);
  Result<void> BatchResolve(Call& call, const Input& input);
  void AnswerBatch(Batch& batch);

  Result<void> Search(Call& call, const Input& input);
  void AnswerSearch(Call& call, const Result<Searches::Answer>& found);

  Result<void> WatchChanges(Call& call, const Input& input);
  // As a server-sent event.
  static void AppendChange(std::string& out, const ChangeEvent& event);

  Result<void> Register(Call& call, const Input& input);
  Result<void> Update(Call& call, const Input& input);
  Result<void> Bind(Call& call, const Input& input);
  Result<void> Unbind(Call& call, const Input& input);
  Result<void> Merge(Call& call, const Input& input);  // and unmerge
  Result<void> Close(Call& call, const Input& input);
  // What every write begins with: scope, an empty query unless `known` parameters, the body's type, room for it. What
  // it asks for goes to EnterIdempotency, which WriteIf does, before it is run.
  Result<void> AdmitWrite(Call& call, const Input& input, std::span<const std::string_view> known,
                          std::initializer_list<std::string_view> content_types);
  Result<void> EnterIdempotency(Call& call, const Input& input, const VersionCondition& condition,
                                const WriteContent& content);
  // Runs `write`, which asks for `content`, when the member's version is one that `condition` allows.
  Result<void> WriteIf(Call& call, const Input& input, VersionCondition condition, const WriteContent& content,
                       Write write);
  void RunWrite(Call& call, std::optional<Version> expected, Write write);
  void AnswerWrite(Call& call, const Result<Member>& member, int status);

  // Appends a member as `call`'s caller may see it.
  static void AppendMember(std::string& out, const Call& call, const MemberDocument& document);

  MemberWriter& writer_;
  MemberMerger& merger_;
  MemberArchive& archive_;
  const Clock& clock_;
  std::function<ServerInfo()> server_;
  Probes probes_;
  KeyedHash token_hash_;
  MemberJson json_;
  QueryParameters query_;
  std::string idempotency_key_;  // that had escapes
  std::string path_;             // of a request whose path had escapes
  Calls calls_;
  std::optional<ChangeStreams> changes_;  // none: changes are not streamed
  MemberBatches<Call> batches_;
  Searches searches_;
  std::unique_ptr<MemberReader> reader_;  // goes first: replies that it still holds refer to the rest
};

}  // namespace muster
