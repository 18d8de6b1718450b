#include "api/member_searches.h"

namespace muster {

Result<SearchPlan> PlanSearch(const SearchBody& asked, KeyedHash& token_hash, std::string_view caller, Timestamp now) {
  Result<SearchPlan> plan(std::in_place);
  plan->query.limit = static_cast<std::size_t>(asked.page_size);
  MUSTER_ASSIGN(plan->query.filter, ParseFilter(asked.filter));
  MUSTER_ASSIGN(plan->query.order, ParseSearchOrder(asked.order_by));
  plan->page = {.filter = plan->query.filter,
                .fields = FieldsOf(plan->query.filter),
                .text = {PrintFilter(plan->query.filter), PrintSearchOrder(plan->query.order)}};
  if (!asked.page_token.empty()) {
    MUSTER_ASSIGN(plan->query.after, ReadSearchToken(token_hash, caller, plan->page.text, asked.page_token, now));
  }
  return plan;
}

Result<bool> IsShown(const SearchPage& page, JsonReader& reader, const MemberDocument& document) {
  if (page.fields == 0) return true;
  MUSTER_ASSIGN(const auto fields, ReadSearchDocument(reader, document.json(), page.fields));
  return Matches(page.filter, fields);
}

}  // namespace muster
