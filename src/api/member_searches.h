#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "api/api_dependencies.h"
#include "api/call_ledger.h"
#include "api/json_reader.h"
#include "api/member_batch.h"
#include "api/page_token.h"
#include "api/search_json.h"
#include "domain/keyring.h"
#include "domain/member_document.h"
#include "domain/ports/member_reader.h"
#include "domain/ports/member_search.h"
#include "domain/search_filter.h"

namespace muster {

// What a page of a search needs once its members are found.
struct SearchPage {
  Filter filter;
  SearchFields32 fields = 0;  // that the filter looks at
  SearchQueryText text;
  std::string next_token = {};
};

// What is found, and what is asked of the index to find it.
struct SearchPlan {
  MemberSearch::Query query;
  SearchPage page;
};
// `asked` by `caller`. INVALID_ARGUMENT: the filter, the order or the token.
Result<SearchPlan> PlanSearch(const SearchBody& asked, KeyedHash& token_hash, std::string_view caller, Timestamp now);

// Whether a member, as it is now, still matches: what the index found may be older, and nobody is to be shown under a
// filter that says something else.
Result<bool> IsShown(const SearchPage& page, JsonReader& reader, const MemberDocument& document);

// The searches of the calls of one protocol: the index finds ids on other threads, their members are read on the loop.
// `C` as in MemberBatches. One loop.
template <typename C>
class MemberSearches {
 public:
  struct Answer {
    std::vector<MemberDocumentRef> members;
    std::string next_token;  // empty: that was the last page
  };

  // `finish` answers the call. `reader` outlives it.
  MemberSearches(CallLedger& ledger, const ApiDependencies& dependencies, MemberReader& reader,
                 std::function<void(C&, const Result<Answer>&)> finish)
      : ledger_(ledger),
        search_(dependencies.search),
        reader_(reader),
        token_hash_(dependencies.keyring->hash_key()),
        finish_(std::move(finish)),
        batches_(ledger, [this](Batch& batch) { finish_(*batch.call, Collect(batch)); }) {}

  // NOT_IMPLEMENTED without an index; else what PlanSearch says, and OVERLOADED.
  Result<void> Start(C& call, const SearchBody& asked) {
    if (search_ == nullptr) {
      return Fail(Reason::kNotImplemented, "this server does not search members: its search.enabled is false");
    }
    MUSTER_ASSIGN(SearchPlan plan, PlanSearch(asked, token_hash_, call.caller->name, ledger_.clock().Now()));
    plan.query.caller = call.caller->name;
    plan.query.deadline = call.deadline;
    MUSTER_TRY(ledger_.Hold(call, kSearchOverheadBytes));
    ledger_.Leave();
    search_->Search(std::move(plan.query),
                    [this, &call, page = std::move(plan.page)](Result<MemberSearch::Page> found) mutable {
                      ledger_.loop().Post([this, &call, page = std::move(page), found = std::move(found)]() mutable {
                        if (auto read = ReadFound(call, std::move(page), found); !read) {
                          finish_(call, std::unexpected(std::move(read).error()));
                        }
                      });
                      ledger_.Return();
                    });
    return {};
  }

 private:
  using Batch = MemberBatches<C, SearchPage>::Batch;

  // What a search under way takes beside its members, about: its filter and its hits.
  static constexpr std::size_t kSearchOverheadBytes = std::size_t{32} << 10;

  Result<void> ReadFound(C& call, SearchPage page, const Result<MemberSearch::Page>& found) {
    if (!found) return Fail(found.error());
    if (found->next) {
      page.next_token = MakeSearchToken(token_hash_, call.caller->name, page.text, *found->next, ledger_.clock().Now());
    }
    MUSTER_ASSIGN(Batch* const started, batches_.Start(call, Reason::kMemberNotFound, found->hits.size()));
    Batch& batch = *started;
    batch.extra = std::move(page);
    const ReadOptions options{.deadline = call.deadline};
    for (std::size_t i = 0; i < found->hits.size(); ++i) reader_.Get(found->hits[i].id, options, batch.ReplyAt(i));
    batches_.FinishOne(batch);
    return {};
  }

  // Who went, or does not match any more, is left out.
  Result<Answer> Collect(Batch& batch) {
    if (batch.refusal) return Fail(*batch.refusal);
    Answer answer{.members = {}, .next_token = std::move(batch.extra.next_token)};
    for (Result<MemberAnswer>& read : batch.answers) {
      if (!read) return Fail(std::move(read).error());
      if (!read->member) continue;
      MUSTER_ASSIGN(const bool is_shown, IsShown(batch.extra, json_, *read->member));
      if (is_shown) answer.members.push_back(std::move(read->member));
    }
    return answer;
  }

  CallLedger& ledger_;
  MemberSearch* const search_;
  MemberReader& reader_;
  KeyedHash token_hash_;
  JsonReader json_;
  const std::function<void(C&, const Result<Answer>&)> finish_;
  MemberBatches<C, SearchPage> batches_;
};

}  // namespace muster
