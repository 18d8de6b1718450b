#include "lab/status_json.h"

#include <unistd.h>

#include <chrono>

#include "domain/json_writer.h"

namespace muster::lab {
namespace {

std::int64_t MillisecondsOf(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

std::string_view ProcessStateOf(const ProcessKeeper::Look& process) {
  if (process.is_frozen) return "frozen";
  return process.pid != 0 ? "running" : "ended";
}

void WriteComponent(JsonWriter& json, const ComponentStatus& status) {
  const Component& component = *status.component;
  json.BeginObject();
  json.Key("name").String(component.name);
  json.Key("kind").String(NameOf(component.kind));
  json.Key("center").String(NameOf(component.center));
  json.Key("role").String(status.answer.role);
  json.Key("pid").Number(status.process.pid);
  json.Key("address").String(Layout::Address(component.port));
  if (component.remote_port != 0) json.Key("remoteAddress").String(Layout::Address(component.remote_port));
  if (component.grpc_port != 0) json.Key("grpc").String(Layout::Address(component.grpc_port));
  if (component.admin_port != 0) json.Key("admin").String(Layout::Address(component.admin_port));
  json.Key("up").Bool(status.answer.is_up);
  json.Key("state").String(ProcessStateOf(status.process));
  if (!status.process.end.empty() && status.process.pid == 0) json.Key("end").String(status.process.end);
  if (component.group != 0) json.Key("group").String(Layout::GroupName(component.group));
  if (status.condition.has_full_disk) json.Key("diskIsFull").Bool(true);
  if (status.condition.clock_offset != Duration(0)) {
    json.Key("clockOffsetMs").Number(MillisecondsOf(status.condition.clock_offset));
  }
  json.EndObject();
}

void WriteLinks(JsonWriter& json, const Links::All& links) {
  json.BeginArray();
  for (const Center from : kCenters) {
    for (const Center to : kCenters) {
      const LinkCondition& link = links[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)];
      if (link == LinkCondition()) continue;
      json.BeginObject();
      json.Key("from").String(NameOf(from));
      json.Key("to").String(NameOf(to));
      json.Key("isCut").Bool(link.is_cut);
      json.Key("delayMs").Number(MillisecondsOf(link.delay));
      json.Key("bytesPerSecond").Number(link.bytes_per_second);
      json.EndObject();
    }
  }
  json.EndArray();
}

}  // namespace

std::string RenderStatus(const Layout& layout, const std::vector<ComponentStatus>& components,
                         const Links::All& links) {
  std::string text;
  JsonWriter json(text);
  json.BeginObject();
  json.Key("components").BeginArray();
  for (const ComponentStatus& component : components) WriteComponent(json, component);
  json.EndArray();
  json.Key("links");
  WriteLinks(json, links);
  json.Key("keyFile").String(layout.key_file());
  json.Key("directory").String(layout.directory());
  json.Key("supervisorPid").Number(::getpid());
  json.EndObject();
  return text;
}

}  // namespace muster::lab
