#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "lab/control.h"
#include "lab/fleet.h"
#include "lab/layout.h"
#include "lab/links.h"

namespace muster::lab {

// What requests do to components and links:
//
//   kill, start, freeze, thaw   TARGET           a component's name or center:A
//   fill, empty                 COMPONENT        its disk
//   clock                       COMPONENT OFFSET  "+5s", "-200ms", "0s"
//   partition, heal             A B              both ways; heal without them: everywhere
//   loss                        A B              what A sends to B
//   delay                       A B TIME         each way
//   throttle                    A B RATE         each way; bytes a second, "0" ends it
class LabActions {
 public:
  LabActions(const Layout& layout, Fleet& fleet, Links& links) : layout_(layout), fleet_(fleet), links_(links) {}

  // Answers what was started. INVALID_ARGUMENT, NOT_FOUND say what would be right.
  Result<Fleet::Chosen> Do(const ControlRequest& request);

 private:
  Result<Fleet::Chosen> ActOnTarget(const ControlRequest& request);
  Result<Fleet::Chosen> ActOnComponent(const ControlRequest& request);
  Result<void> ActOnLink(const ControlRequest& request);

  const Layout& layout_;
  Fleet& fleet_;
  Links& links_;
};

// "+5s" or "-200ms"; at most a year.
Result<Duration> ParseClockOffset(std::string_view text);

}  // namespace muster::lab
