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
#include "api/member_json.h"
#include "api/page_token.h"
#include "api/probes.h"
#include "api/query.h"
#include "api/request_headers.h"
#include "api/search_json.h"
#include "domain/ports/member_reader.h"

namespace muster {

// How many changes a page of a history has at most, and when the caller does not say.
inline constexpr std::int64_t kHistoryPageMax = 100;
inline constexpr std::int64_t kHistoryPageDefault = 50;
// How large the members in the answer to one batch may be together.
inline constexpr std::size_t kBatchAnswerBytesMax = std::size_t{16} << 20;

// The HttpHandler of member_api.h. One verb a method; a verb that returns an error has not answered, all others have or
// will. Reads are in member_reads.cc, batches in member_batches.cc, searches in
// member_search.cc, writes in member_writes.cc.
class MemberHandler final : public HttpHandler {
 public:
  MemberHandler(EventLoop& loop, std::unique_ptr<MemberReader> reader, const ApiDependencies& dependencies);

  void Handle(const HttpRequest& request, HttpExchange exchange) override;
  void Reject(const HttpRejection& rejection, const HttpRequest& known, HttpExchange exchange) override;

 private:
  // What a verb is given beside its call; views into the request.
  struct Input {
    const HttpRequest& request;
    const RequestHeaders& headers;
  };
  // What a page of a search needs once its members are found.
  struct SearchPage {
    Filter filter;
    SearchFields32 fields = 0;
    SearchQueryText text;
    std::string next_token = {};
  };
  // The keys of one batch and what was found for them; used again. Members are held (HttpExchange::Hold) as they come,
  // or dropped once the batch cannot be answered.
  struct Batch {
    MemberHandler* handler = nullptr;
    Call* call = nullptr;
    Reason missing = Reason::kMemberNotFound;
    std::vector<Result<MemberAnswer>> answers;
    std::size_t outstanding = 0;
    std::size_t bytes = 0;                            // of the members so far
    std::size_t held_bytes = 0;                       // bytes, and something for those to come
    std::optional<Error> refusal;                     // why it cannot be answered
    std::optional<SearchPage> search = std::nullopt;  // of a search: it is answered as one

    // The reply for the key at `index`; two words, so that it is kept in the callback itself.
    auto ReplyAt(std::size_t index) {
      return [this, index](Result<MemberAnswer> answer) {
        handler->TakeReply(*this, index, std::move(answer));
        handler->FinishOne(*this);
      };
    }
  };
  using Write = std::move_only_function<Task<Result<Member>>(WriteContext)>;

  Result<void> Dispatch(Call& call, const Input& input);

  Result<void> Get(Call& call, const Input& input);
  Result<void> Resolve(Call& call, const Input& input);
  Result<void> ListHistory(Call& call, const Input& input);
  Result<void> GetServer(Call& call, const Input& input);
  Result<ReadOptions> OptionsOf(const Call& call, const Input& input);
  void AnswerRead(Call& call, Result<MemberAnswer> answer, Reason missing);

  Result<void> BatchGet(Call& call, const Input& input);
  Result<void> BatchResolve(Call& call, const Input& input);
  Result<Batch*> StartBatch(Call& call, Reason missing, std::size_t size);
  static void TakeReply(Batch& batch, std::size_t index, Result<MemberAnswer> answer);
  void FinishOne(Batch& batch);
  void AnswerBatch(Batch& batch);

  Result<void> Search(Call& call, const Input& input);
  Result<void> ShowFound(Call& call, SearchPage page, const Result<MemberSearch::Page>& found);
  void AnswerSearch(Batch& batch);

  Result<void> Register(Call& call, const Input& input);
  Result<void> Update(Call& call, const Input& input);
  Result<void> Bind(Call& call, const Input& input);
  Result<void> Unbind(Call& call, const Input& input);
  Result<void> Close(Call& call, const Input& input);
  // What every write begins with: scope, an empty query unless `known` parameters, the body's type, room for it.
  Result<void> AdmitWrite(Call& call, const Input& input, std::span<const std::string_view> known,
                          std::initializer_list<std::string_view> content_types);
  Result<void> EnterIdempotency(Call& call, const Input& input);
  // Runs `write` when the member's version is one that `condition` allows.
  Result<void> WriteIf(Call& call, VersionCondition condition, Write write);
  void RunWrite(Call& call, std::optional<Version> expected, Write write);
  void AnswerWrite(Call& call, const Result<Member>& member, int status);

  // Appends a member as `call`'s caller may see it.
  static void AppendMember(std::string& out, const Call& call, const MemberDocument& document);

  MemberWriter& writer_;
  MemberArchive& archive_;
  MemberSearch* search_;  // null: members are not searched
  const Clock& clock_;
  std::function<ServerInfo()> server_;
  Probes probes_;
  KeyedHash token_hash_;
  MemberJson json_;
  QueryParameters query_;
  std::string idempotency_key_;  // that had escapes
  std::string path_;             // of a request whose path had escapes
  Calls calls_;
  std::vector<std::unique_ptr<Batch>> batches_;
  std::vector<Batch*> idle_batches_;
  std::unique_ptr<MemberReader> reader_;  // goes first: replies that it still holds refer to the rest
};

}  // namespace muster
