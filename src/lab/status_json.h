#pragma once

#include <string>
#include <vector>

#include "lab/fleet.h"
#include "lab/layout.h"
#include "lab/links.h"

namespace muster::lab {

// What `muster lab status -o json` prints:
//   {"components":[{"name","kind","center","role","pid","address","remoteAddress","up","state",…}],"links":[…],
//    "keyFile","directory","supervisorPid"}
// A link is listed where something befalls it.
std::string RenderStatus(const Layout& layout, const std::vector<ComponentStatus>& components, const Links::All& links);

}  // namespace muster::lab
