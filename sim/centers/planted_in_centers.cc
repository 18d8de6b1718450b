#include "centers/planted_in_centers.h"

namespace muster::sim {

const std::vector<PlantedCenterBug>& PlantedCenterBugs() {
  static const std::vector<PlantedCenterBug> kBugs = {
      {PlantedInCenters::kAckBeforeCaches, "ack-before-caches"},
      {PlantedInCenters::kForgetCenter, "forget-center"},
      {PlantedInCenters::kFillUnchecked, "fill-unchecked"},
      {PlantedInCenters::kTrustRestarted, "trust-restarted"},
      {PlantedInCenters::kBypassUnawaited, "bypass-unawaited"},
      {PlantedInCenters::kTrustAtOnce, "trust-at-once"},
      {PlantedInCenters::kLeaseIgnored, "lease-ignored"},
      {PlantedInCenters::kLeaseFromReply, "lease-from-reply"},
      {PlantedInCenters::kLeasesNotAwaited, "leases-not-awaited"},
      {PlantedInCenters::kFirstAcker, "first-acker"},
      {PlantedInCenters::kNoAcknowledgement, "no-acknowledgement"},
      {PlantedInCenters::kKeptAllAtStart, "kept-all-at-start"},
      {PlantedInCenters::kAgeUnsaid, "age-unsaid"},
      {PlantedInCenters::kPrimaryUnconfirmed, "primary-unconfirmed"},
      {PlantedInCenters::kUnvouched, "unvouched"},
  };
  return kBugs;
}

}  // namespace muster::sim
