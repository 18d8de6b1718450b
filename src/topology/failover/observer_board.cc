#include "topology/failover/observer_board.h"

#include "domain/json_writer.h"
#include "topology/topology_json.h"

namespace muster::failover {
namespace {

constexpr std::size_t kReportBytesMax = std::size_t{64} << 10;

}  // namespace

std::string RenderReport(const ObserverReport& report) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  json.Key("observer").String(report.observer);
  json.Key("center").String(report.center);
  json.Key("sequence").Number64(report.sequence);
  json.Key("controls").Bool(report.controls);
  json.Key("reaches").BeginArray();
  for (const std::string& database : report.reaches) json.String(database);
  json.EndArray();
  // Versions that do not know it do not understand a report that has it, so it is there only when it says something.
  if (!report.refusals.empty()) {
    json.Key("refusals").BeginArray();
    for (const std::string& refusal : report.refusals) json.String(refusal);
    json.EndArray();
  }
  json.EndObject();
  return out;
}

Result<ObserverReport> ParseReport(std::string_view text) {
  if (text.size() > kReportBytesMax) return Fail(Reason::kInternal, "an observer's report is too large");
  StrictJson json("an observer's report", text);
  ObserverReport report;
  MUSTER_TRY(json.Read({"observer", "center", "sequence", "controls", "reaches", "?refusals"},
                       [&](std::string_view name, StrictJson::Value& value) -> Result<void> {
                         if (name == "observer") return json.ReadText(value, name, report.observer);
                         if (name == "center") return json.ReadText(value, name, report.center);
                         if (name == "sequence") return json.ReadNumber64(value, name, report.sequence);
                         if (name == "controls") return json.ReadBoolean(value, name, report.controls);
                         auto& texts = name == "reaches" ? report.reaches : report.refusals;
                         return json.ReadArray(value, name, [&](StrictJson::Value& element) {
                           return json.ReadText(element, name, texts.emplace_back());
                         });
                       }));
  return report;
}

}  // namespace muster::failover
