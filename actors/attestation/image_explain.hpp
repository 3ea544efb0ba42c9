#pragma once
// Why a boot is not that of an image, event by event, and what would have to change. For people:
// nothing is decided here. Pure. Bounded by the log, the image and sequence_diff's limits; the JSON
// form by the limits below.

#include "actors/attestation/image_index.hpp"

#include <boost/json/fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace custos::attestation {

/// Events of one PCR in the JSON form; where there are more, differences only, up to as many.
inline constexpr std::size_t shown_events_max = 256;
/// Events that the sentence about a PCR names.
inline constexpr std::size_t told_events_max = 3;

enum class event_outcome : std::uint8_t {
  matched = 1,
  unexpected, ///< in the log, not accounted for by the image
  missing,    ///< expected by the image, not in the log at that place
};

struct explained_event {
  event_outcome outcome = event_outcome::matched;
  std::optional<std::uint32_t> event; ///< in the log; none if missing
  std::uint32_t type = 0;
  bytes digest;
  std::string hint; ///< printable ASCII
};

enum class pcr_outcome : std::uint8_t {
  matches = 1,
  differs,
  ignored,     ///< by the image
  log_differs, ///< the log does not lead to the quoted value: no image can accept that
  not_quoted,  ///< or its bank is missing from quote or log
};

struct explained_pcr {
  std::uint32_t pcr = 0;
  pcr_form form = pcr_form::ordered;
  pcr_outcome outcome = pcr_outcome::matches;
  bytes value; ///< quoted
  std::vector<explained_event> events;
  std::string change; ///< what would have to change, a sentence; empty where it matches
};

struct explanation {
  std::string image;
  std::string version;
  std::string bank;
  bool audit_only = false;
  std::optional<error> why; ///< of match_image; none: it matches
  std::vector<explained_pcr> pcrs;
};

explanation explain(const base_image& image, const boot_evidence& boot);
boost::json::object json_of(const explanation& x);

std::string_view to_string(event_outcome x);
std::string_view to_string(pcr_outcome x);
std::string_view to_string(pcr_form x);

} // namespace custos::attestation
