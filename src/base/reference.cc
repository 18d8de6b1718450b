#include "base/reference.h"

#include <array>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/error.h"

namespace muster {
namespace {

// The names of google.rpc.Code (google/rpc/code.proto), by number.
constexpr std::array<std::string_view, 17> kGrpcCodes = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

// Text inside a cell: bars would end it and line breaks the table.
std::string Cell(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|') cell += '\\';
    cell += c == '\n' ? ' ' : c;
  }
  return cell;
}

std::string Code(std::string_view text) { return text.empty() ? "" : "`" + Cell(text) + "`"; }

void AppendRow(std::string& page, std::initializer_list<std::string> cells) {
  page += '|';
  for (const std::string& cell : cells) page += cell.empty() ? " |" : " " + cell + " |";
  page += '\n';
}

void AppendHead(std::string& page, std::initializer_list<std::string> titles) {
  AppendRow(page, titles);
  page += '|';
  for (std::size_t i = 0; i < titles.size(); ++i) page += "---|";
  page += '\n';
}

void AppendOptionTables(std::string& page, const OptionSpec& spec) {
  page += "\n### `[[" + spec.name + "]]`\n\n" + spec.help + " Default: " + spec.default_text + ".\n\n";
  AppendHead(page, {"Column", "Type", "Default", "Bounds", "Meaning"});
  for (const OptionSpec& column : spec.columns) {
    AppendRow(page, {Code(column.name), std::string(OptionTypeName(column.type)), Code(column.default_text),
                     Cell(column.bounds), Cell(column.help)});
  }
}

}  // namespace

std::string RenderOptionReference(const OptionRegistry& options) {
  std::string page;
  std::vector<const OptionSpec*> repeated;
  AppendHead(page, {"Option", "Type", "Default", "Bounds", "Change", "Environment", "Meaning"});
  for (const OptionRegistry::Current& current : options.Explain()) {
    const OptionSpec& spec = *current.spec;
    if (spec.type == OptionType::kTables) {
      repeated.push_back(&spec);
      continue;
    }
    AppendRow(page,
              {Code(spec.name), std::string(OptionTypeName(spec.type)), Code(spec.default_text), Cell(spec.bounds),
               spec.restart ? "restart" : "live", Code(EnvironmentName(spec.name)), Cell(spec.help)});
  }
  for (const OptionSpec* spec : repeated) AppendOptionTables(page, *spec);
  return page;
}

std::string RenderMetricReference(const MetricRegistry& metrics) {
  std::string page;
  AppendHead(page, {"Metric", "Type", "Labels", "Meaning"});
  for (const MetricRegistry::Description& metric : metrics.Describe()) {
    std::string labels;
    for (const std::string& label : metric.label_names) labels += (labels.empty() ? "" : ", ") + Code(label);
    AppendRow(page, {Code(metric.name), metric.type, labels, Cell(metric.help)});
  }
  return page;
}

std::string RenderErrorReference() {
  std::string page;
  AppendHead(page, {"Code", "HTTP", "gRPC", "Send again?", "Meaning"});
  for (const ReasonDescription& row : AllReasons()) {
    const auto grpc_code = static_cast<std::size_t>(row.grpc_code);
    MUSTER_CHECK(grpc_code < kGrpcCodes.size());
    AppendRow(page, {Code(row.code), std::to_string(row.http_status), Code(kGrpcCodes[grpc_code]),
                     row.retryable ? "yes" : "no", Cell(row.title)});
  }
  return page;
}

}  // namespace muster
