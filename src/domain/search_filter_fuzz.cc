#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "domain/search_filter.h"
#include "domain/search_order.h"

// Any text as a filter and as an order: it is refused with a place that is in it, or means the same when it is printed
// and read again.

namespace muster {
namespace {

void CheckFilter(std::string_view text) {
  const Result<Filter> filter = ParseFilter(text);
  if (!filter) {
    MUSTER_CHECK(filter.error().reason == Reason::kInvalidArgument);
    MUSTER_CHECK(filter.error().violations.size() == 1 && filter.error().violations[0].field == "filter");
    return;
  }
  const std::string printed = PrintFilter(*filter);
  (void)Matches(*filter, SearchDocument{});
  if (printed.size() > kFilterBytesMax) return;
  const Result<Filter> again = ParseFilter(printed);
  MUSTER_CHECK(again && *again == *filter);
}

void CheckOrder(std::string_view text) {
  const Result<SearchOrder> order = ParseSearchOrder(text);
  if (!order) {
    MUSTER_CHECK(order.error().reason == Reason::kInvalidArgument);
    return;
  }
  const Result<SearchOrder> again = ParseSearchOrder(PrintSearchOrder(*order));
  MUSTER_CHECK(again && *again == *order);
}

}  // namespace
}  // namespace muster

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  muster::CheckFilter(text);
  muster::CheckOrder(text);
  return 0;
}
