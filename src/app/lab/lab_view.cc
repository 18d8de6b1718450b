#include "app/lab/lab_view.h"

#include <simdjson.h>

#include "app/output/table.h"
#include "base/option_text.h"

namespace muster {
namespace {

using simdjson::dom::element;

std::string LabText(const element& parent, const char* key) {
  std::string_view text;
  return parent[key].get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
}

std::int64_t LabNumber(const element& parent, const char* key) {
  std::int64_t number = 0;
  return parent[key].get(number) == simdjson::SUCCESS ? number : 0;
}

bool LabFlag(const element& parent, const char* key) {
  bool flag = false;
  return parent[key].get(flag) == simdjson::SUCCESS && flag;
}

Outcome<element> ParseLab(simdjson::dom::parser& parser, std::string_view json) {
  element root;
  if (parser.parse(simdjson::padded_string(json)).get(root) == simdjson::SUCCESS && root.is_object()) return root;
  return Fails(ExitCode::kFailure, "the lab's answer is no JSON; is it of another version of muster?");
}

std::string NotesOf(const element& component) {
  std::string notes;
  const auto add = [&notes](const std::string& note) { notes += (notes.empty() ? "" : ", ") + note; };
  if (const std::string end = LabText(component, "end"); !end.empty()) add(end);
  if (LabFlag(component, "diskIsFull")) add("disk is full");
  if (const std::int64_t offset = LabNumber(component, "clockOffsetMs"); offset != 0) {
    add("clock " + std::string(offset < 0 ? "-" : "+") + ShowMilliseconds(offset < 0 ? -offset : offset));
  }
  return notes;
}

std::string DescribeLink(const LabView::Link& link) {
  std::string text = link.from + " to " + link.to + ":";
  if (link.is_cut) text += " nothing arrives,";
  if (link.delay_ms > 0) text += " " + ShowMilliseconds(link.delay_ms) + " late,";
  if (link.bytes_per_second > 0) text += " at most " + ShowBytes(link.bytes_per_second) + " a second,";
  text.back() = '\n';
  return text;
}

std::string ShellWord(const std::string& text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

}  // namespace

Outcome<LabView> ParseLabStatus(std::string_view json) {
  simdjson::dom::parser parser;
  MUSTER_ASSIGN(const element root, ParseLab(parser, json));
  LabView view{
      .components = {}, .links = {}, .key_file = LabText(root, "keyFile"), .directory = LabText(root, "directory")};
  simdjson::dom::array components, links;
  if (root["components"].get(components) == simdjson::SUCCESS) {
    for (const element component : components) {
      view.components.push_back({.name = LabText(component, "name"),
                                 .kind = LabText(component, "kind"),
                                 .center = LabText(component, "center"),
                                 .role = LabText(component, "role"),
                                 .state = LabText(component, "state"),
                                 .address = LabText(component, "address"),
                                 .remote_address = LabText(component, "remoteAddress"),
                                 .grpc = LabText(component, "grpc"),
                                 .admin = LabText(component, "admin"),
                                 .notes = NotesOf(component),
                                 .pid = LabNumber(component, "pid"),
                                 .is_up = LabFlag(component, "up")});
    }
  }
  if (root["links"].get(links) == simdjson::SUCCESS) {
    for (const element link : links) {
      view.links.push_back({.from = LabText(link, "from"),
                            .to = LabText(link, "to"),
                            .is_cut = LabFlag(link, "isCut"),
                            .delay_ms = LabNumber(link, "delayMs"),
                            .bytes_per_second = LabNumber(link, "bytesPerSecond")});
    }
  }
  return view;
}

Outcome<std::string> RenderLabStatus(const Terminal& terminal, std::string_view json) {
  MUSTER_ASSIGN(const LabView lab, ParseLabStatus(json));
  Table table({{"NAME"},
               {"CENTER"},
               {"UP"},
               {"STATE"},
               {"ROLE"},
               {"PID", Table::Align::kRight},
               {"ADDRESS"},
               {"FROM OTHER CENTERS"},
               {"NOTES"}});
  for (const LabView::Component& component : lab.components) {
    table.AddRow({component.name, component.center, component.is_up ? "yes" : "no", component.state, component.role,
                  component.pid == 0 ? "" : std::to_string(component.pid), component.address, component.remote_address,
                  component.notes});
  }
  std::string text = table.Render(terminal);
  for (const LabView::Link& link : lab.links) text += DescribeLink(link);
  return text;
}

std::string RenderLabBanner(const Terminal& terminal, const LabView& lab, const std::string& program) {
  std::string out = "\n" + Styled(terminal, Style::kBold, "muster lab") +
                    ": two centers and a witness on this machine, in " + lab.directory + "\n" +
                    Styled(terminal, Style::kYellow, "Not for production.") + "\n\n";
  std::string url;
  for (const LabView::Component& component : lab.components) {
    const bool is_server = component.kind == "muster";
    if (is_server && url.empty()) url = "http://" + component.address;
    out += "  " + component.name + std::string(component.name.size() < 16 ? 16 - component.name.size() : 1, ' ');
    out += is_server
               ? "http://" + component.address + "   gRPC " + component.grpc + "   admin http://" + component.admin
               : component.address + (component.role.empty() ? "" : "   " + component.role);
    out += "\n";
  }
  const auto title = [&out](const char* text) { out += "  # " + std::string(text) + "\n"; };
  if (!url.empty()) {
    out += "  admin key       " + lab.key_file + "\n\n";
    const std::string authorization = " -H \"Authorization: Bearer $(cat " + lab.key_file + ")\"";
    title("a new member, and how reads find their way");
    out += "  curl -s -X POST \"" + url + "/v1/members\"" + authorization +
           R"( -H "Content-Type: application/json" -d '{"displayName":"Li Lei","city":"Suzhou"}')" + "\n";
    out += "  " + program + " routes --server " + url + " --key-file " + lab.key_file + "\n";
    title("have this shell's commands go to a server of the lab");
    out += "  eval \"$(" + program + " lab env muster-b1 --dir " + lab.directory + ")\"\n";
    out += "  " + program + " topology show\n";
  } else {
    out += "\n";
  }
  const std::string dir = " --dir " + lab.directory + "\n";
  title("what is up, and as what");
  out += "  " + program + " lab status" + dir;
  title("make the network that of two cities; lose it, and get it back");
  out += "  " + program + " lab delay A B 2ms" + dir;
  out += "  " + program + " lab partition A B" + dir;
  out += "  " + program + " lab heal" + dir;
  title("lose one server, or all of a center; bring them back");
  out += "  " + program + " lab freeze redis-b" + dir;
  out += "  " + program + " lab thaw redis-b" + dir;
  out += "  " + program + " lab kill center:A" + dir;
  out += "  " + program + " lab start center:A" + dir;
  title("its end; the data stay for the next `lab up`, unless --purge is given");
  out += "  " + program + " lab down" + dir + "\n";
  return out;
}

Outcome<std::string> RenderLabEnvironment(const LabView& lab, const std::string& server) {
  std::string servers;
  for (const LabView::Component& component : lab.components) {
    if (component.kind != "muster") continue;
    servers += (servers.empty() ? "" : ", ") + component.name;
    if (component.name != server) continue;
    return "export MUSTER_SERVER=" + ShellWord("http://" + component.address) +
           "\nexport MUSTER_KEY_FILE=" + ShellWord(lab.key_file) + "\n";
  }
  if (servers.empty()) return Fails(ExitCode::kRefused, "the lab has engines only, and no muster server");
  return Fails(ExitCode::kNotFound, "the lab has no muster server '" + server + "'; there are " + servers);
}

Outcome<LabProgress> ParseLabProgress(std::string_view json) {
  simdjson::dom::parser parser;
  MUSTER_ASSIGN(const element root, ParseLab(parser, json));
  return LabProgress{.state = LabText(root, "state"), .doing = LabText(root, "doing")};
}

}  // namespace muster
