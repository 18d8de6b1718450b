#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "app/cli/exit_code.h"
#include "app/cli/terminal.h"

namespace muster {

// What a lab's supervisor says of it (lab/status_json.h), for people.
struct LabView {
  struct Component {
    std::string name;
    std::string kind;
    std::string center;
    std::string role;
    std::string state;
    std::string address;
    std::string remote_address;
    std::string grpc;
    std::string admin;
    std::string notes;
    std::int64_t pid = 0;
    bool is_up = false;
  };
  struct Link {
    std::string from;
    std::string to;
    bool is_cut = false;
    std::int64_t delay_ms = 0;
    std::int64_t bytes_per_second = 0;
  };
  std::vector<Component> components;
  std::vector<Link> links;
  std::string key_file;
  std::string directory;
};
Outcome<LabView> ParseLabStatus(std::string_view json);

// A line a component, and one for each link that something befalls.
Outcome<std::string> RenderLabStatus(const Terminal& terminal, std::string_view json);

// What `muster lab up` shows when all is up: where it is, and lines that work as pasted into a shell. `program` is the
// path of this binary.
std::string RenderLabBanner(const Terminal& terminal, const LabView& lab, const std::string& program);

// Lines for a shell, after which client commands go to this server of the lab, with the lab's key.
Outcome<std::string> RenderLabEnvironment(const LabView& lab, const std::string& server);

// How far a lab is that comes up.
struct LabProgress {
  std::string state;  // assembling, ready, failed
  std::string doing;  // what, or why it failed
};
Outcome<LabProgress> ParseLabProgress(std::string_view json);

}  // namespace muster
