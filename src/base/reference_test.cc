#include "base/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"

namespace muster {
namespace {

using testing::HasSubstr;

struct Row {
  std::string name = "x";
};

// The number of cells of each line that begins with a bar; an escaped bar is text.
std::vector<long> CellsOfRows(const std::string& page) {
  std::vector<long> counts;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('|')) continue;
    long bars = std::ranges::count(line, '|');
    for (std::size_t at = line.find("\\|"); at != std::string::npos; at = line.find("\\|", at + 1)) --bars;
    counts.push_back(bars - 1);
  }
  return counts;
}

TEST(Reference, OptionsHaveARowEach) {
  std::int64_t bytes = 256 << 20;
  std::string file;
  bool enabled = true;
  OptionRegistry options;
  options.AddBytes("cache.near.bytes", &bytes, "How much the near cache holds.", {.min = 0, .max = 1 << 30}, false);
  options.AddString("log.file", &file, "Where logs go; a|b\nand more.");
  options.AddBoolean("a.enabled", &enabled, "Whether.");
  EXPECT_EQ(
      RenderOptionReference(options),
      "| Option | Type | Default | Bounds | Change | Environment | Meaning |\n"
      "|---|---|---|---|---|---|---|\n"
      "| `a.enabled` | boolean | `true` | | restart | `MUSTER_A__ENABLED` | Whether. |\n"
      "| `cache.near.bytes` | bytes | `256 MiB` | 0 to 1 GiB | live | `MUSTER_CACHE__NEAR__BYTES` | How much the near "
      "cache holds. |\n"
      "| `log.file` | string | | | restart | `MUSTER_LOG__FILE` | Where logs go; a\\|b and more. |\n");
}

TEST(Reference, ShowsTheDefaultWhateverIsSet) {
  std::int64_t threads = 2;
  OptionRegistry options;
  options.AddInteger("http.threads", &threads, "Threads.", {});
  const std::string before = RenderOptionReference(options);
  ASSERT_TRUE(options.Set("http.threads", "7", "here"));
  EXPECT_EQ(RenderOptionReference(options), before);
}

TEST(Reference, RepeatedTablesHaveATableOfTheirOwn) {
  std::vector<Row> rows(2);
  OptionRegistry options;
  options.AddTables<Row>("identity.kinds", &rows, "The kinds of identity.", [](OptionRegistry& columns, Row& row) {
    columns.AddString("name", &row.name, "What callers call it.", {"x", "y"});
  });
  EXPECT_THAT(RenderOptionReference(options),
              HasSubstr("\n### `[[identity.kinds]]`\n\nThe kinds of identity. Default: 2 tables.\n\n"
                        "| Column | Type | Default | Bounds | Meaning |\n"
                        "|---|---|---|---|---|\n"
                        "| `name` | string | `x` | one of x, y | What callers call it. |\n"));
}

TEST(Reference, MetricsHaveARowEach) {
  MetricRegistry metrics;
  metrics.AddHistogram("muster_http_duration_seconds", "How long requests take.", {{"route", "a"}, {"code", "OK"}});
  metrics.AddCounter("muster_http_requests_total", "Requests.");
  EXPECT_EQ(RenderMetricReference(metrics),
            "| Metric | Type | Labels | Meaning |\n"
            "|---|---|---|---|\n"
            "| `muster_http_duration_seconds` | histogram | `code`, `route` | How long requests take. |\n"
            "| `muster_http_requests_total` | counter | | Requests. |\n");
}

TEST(Reference, ErrorsHaveARowEach) {
  const std::string page = RenderErrorReference();
  EXPECT_THAT(page, HasSubstr("| `MEMBER_NOT_FOUND` | 404 | `NOT_FOUND` | no | There is no such member |\n"));
  EXPECT_THAT(page, HasSubstr("| `OVERLOADED` | 503 | `RESOURCE_EXHAUSTED` | yes | The server is at its capacity |\n"));
  EXPECT_THAT(CellsOfRows(page), testing::Each(5));
  EXPECT_EQ(CellsOfRows(page).size(), AllReasons().size() + 2);
}

TEST(Reference, NothingDeclaredIsAnEmptyTable) {
  EXPECT_EQ(CellsOfRows(RenderOptionReference(OptionRegistry())).size(), 2U);
  EXPECT_EQ(CellsOfRows(RenderMetricReference(MetricRegistry())).size(), 2U);
}

}  // namespace
}  // namespace muster
