#include "cluster/link/admission.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <tuple>

namespace custos::cluster::link {

std::string address_group(const std::string& address) {
  in_addr v4{};
  if (::inet_pton(AF_INET, address.c_str(), &v4) == 1)
    return {reinterpret_cast<const char*>(&v4), sizeof v4};
  in6_addr v6{};
  const auto plain = address.substr(0, address.find('%')); // without a scope
  if (::inet_pton(AF_INET6, plain.c_str(), &v6) != 1)
    return {};
  const auto* const octets = reinterpret_cast<const char*>(&v6);
  if (IN6_IS_ADDR_V4MAPPED(&v6))
    return {octets + 12, 4};
  return {octets, 8};
}

std::optional<std::uint64_t> admission::victim(std::uint64_t spared,
                                               const std::string* only_group) const {
  std::optional<std::uint64_t> out;
  std::tuple<bool, bool, std::size_t> worst;
  for (const auto& [id, e] : entries_) {
    if (id == spared || (only_group != nullptr && e.group != *only_group))
      continue;
    const auto count = counts_.at(e.group);
    const std::tuple rank{!known_.contains(e.group), !e.spoke, count};
    if (!out || rank > worst) {
      out = id;
      worst = rank;
    }
  }
  return out;
}

void admission::forget(std::uint64_t id) {
  const auto found = entries_.find(id);
  if (found == entries_.end())
    return;
  const auto count = counts_.find(found->second.group);
  if (--count->second == 0)
    counts_.erase(count);
  entries_.erase(found);
}

std::vector<std::uint64_t> admission::admit(std::uint64_t id, const std::string& group) {
  entries_[id] = entry{group, false};
  const auto of_group = ++counts_[group];
  std::vector<std::uint64_t> out;
  if (of_group > per_address_max_)
    if (const auto oldest = victim(id, &group)) {
      out.push_back(*oldest);
      forget(*oldest);
    }
  if (entries_.size() > half_open_max_)
    if (const auto oldest = victim(id, nullptr)) {
      out.push_back(*oldest);
      forget(*oldest);
    }
  return out;
}

void admission::spoke(std::uint64_t id) {
  const auto found = entries_.find(id);
  if (found != entries_.end())
    found->second.spoke = true;
}

void admission::leave(std::uint64_t id) {
  forget(id);
}

std::vector<std::uint64_t> admission::make_room() {
  const auto wanted = std::max<std::size_t>(entries_.size() / 4, 1);
  std::vector<std::uint64_t> out;
  while (out.size() < wanted) {
    const auto next = victim(0, nullptr);
    if (!next)
      break;
    out.push_back(*next);
    forget(*next);
  }
  return out;
}

} // namespace custos::cluster::link
