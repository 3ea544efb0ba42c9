#pragma once
// How two base images differ: for people. Pure; the JSON form is bounded by the limit below.

#include "messages/config.hpp"

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace custos::attestation {

/// Entries of one list in the JSON form.
inline constexpr std::size_t shown_differences_max = 256;

/// An event that only one image has at its place.
struct event_difference {
  bool in_a = false; ///< else in b
  image_event event;
};

struct pcr_difference {
  std::uint32_t pcr = 0;
  std::optional<pcr_form> a; ///< none: the image says nothing of it
  std::optional<pcr_form> b;
  std::vector<event_difference> events;
  std::vector<bytes> values_only_a;
  std::vector<bytes> values_only_b;
};

/// A member with one value: "version", "secure_boot/enabled".
struct member_difference {
  std::string member;
  std::string a;
  std::string b;
};

/// A member that is a list without order: "ima/files" (path and digest), "secure_boot/revoked".
struct list_difference {
  std::string member;
  std::vector<std::string> only_a;
  std::vector<std::string> only_b;
};

struct image_difference {
  std::vector<member_difference> members;
  std::vector<pcr_difference> pcrs; ///< by PCR
  std::vector<list_difference> lists;
  [[nodiscard]] bool none() const { return members.empty() && pcrs.empty() && lists.empty(); }
};

/// Names and hints make no difference.
image_difference diff(const base_image& a, const base_image& b);
boost::json::object json_of(const image_difference& x);

} // namespace custos::attestation
